package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

// TestAdvisoryKeysThatCanBeFactored (CVE-2017-15361): some devices make RSA keys whose private part anybody can compute.
func TestAdvisoryKeysThatCanBeFactored(t *testing.T) {
	product := big.NewInt(2)
	for _, p := range rocaPrimes {
		product.Mul(product, big.NewInt(p))
	}
	// Faulty primes are k*M + 65537^a mod M, and so is their product; whether its factors are primes makes no difference here.
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), product)
	k := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.Add(n, k.Div(k, product).Add(k, big.NewInt(1)).Mul(k, product))
	if err := checkKey(&rsa.PublicKey{N: n, E: 65537}); err == nil || !strings.Contains(err.Error(), "factored") {
		t.Errorf("a key of %d bits: %v", n.BitLen(), err)
	}
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkKey(&good.PublicKey); err != nil {
		t.Error(err)
	}
}
