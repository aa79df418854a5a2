package buffer_test

import (
	"flag"
	"testing"

	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// Each object is fsynced, so that many take minutes on some disks.
var manyKeys = flag.Int("buffer.keys", 5003, "objects that TestDirManyKeys puts and lists")

func openDir(t *testing.T) buffer.Store {
	d, err := buffer.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) { buffertest.Run(t, openDir) }

func TestDirManyKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("puts thousands of objects")
	}
	buffertest.ManyKeys(t, openDir(t), *manyKeys)
}
