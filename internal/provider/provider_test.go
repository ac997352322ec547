package provider

import "testing"

func TestEmbeddedFilesLoad(t *testing.T) {
	if _, err := loadEmbedded(); err != nil {
		t.Fatal(err)
	}
}
