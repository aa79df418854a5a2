package buffertest_test

import (
	"testing"

	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

func TestMemory(t *testing.T) {
	buffertest.Run(t, func(*testing.T) buffer.Store { return &buffertest.Memory{} })
}

func TestFaultyWithoutFaults(t *testing.T) {
	buffertest.Run(t, func(*testing.T) buffer.Store { return buffertest.NewFaulty(&buffertest.Memory{}, 1) })
}

// A list that ends at 1,000 or 10,000 keys, as many recipes' do, would be found.
func TestMemoryManyKeys(t *testing.T) {
	buffertest.ManyKeys(t, &buffertest.Memory{}, 100_003)
}
