package e2e_test

import (
	"debug/elf"
	"testing"
)

// TestTheBinaryIsStatic holds that what make builds runs in an image without a C library. The race detector needs one.
func TestTheBinaryIsStatic(t *testing.T) {
	f, err := elf.Open(binaryOf(t, sidwayBinary))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if !race && (p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC) {
			libraries, _ := f.ImportedLibraries()
			t.Errorf("there is a segment %v, for the libraries %v", p.Type, libraries)
		}
	}
}
