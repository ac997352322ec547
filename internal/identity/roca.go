package identity

import (
	"math/big"
	"sync"
)

// rocaPrimes are the smallest primes of those whose product makes up the primes of a faulty library (CVE-2017-15361).
var rocaPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139,
	149, 151, 157, 163, 167,
}

// rocaPowers are, for each of them, the remainders of the powers of 65537: all that a faulty modulus can leave.
var rocaPowers = sync.OnceValue(func() []map[int64]bool {
	all := make([]map[int64]bool, len(rocaPrimes))
	for i, p := range rocaPrimes {
		all[i] = map[int64]bool{}
		for r := int64(1); !all[i][r]; r = r * 65537 % p {
			all[i][r] = true
		}
	}
	return all
})

// factorable is true for a modulus of the faulty library, whose private key can be computed. Of others, one in 2^27 or fewer looks
// like one.
func factorable(n *big.Int) bool {
	var r, p big.Int
	for i, powers := range rocaPowers() {
		if !powers[r.Mod(n, p.SetInt64(rocaPrimes[i])).Int64()] {
			return false
		}
	}
	return true
}
