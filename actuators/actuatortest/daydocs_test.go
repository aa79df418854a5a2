package actuatortest

import "testing"

// TestDaysOfTheNetwork: the part of the page that is the same for every kind.
func TestDaysOfTheNetwork(t *testing.T) {
	section(t, "every kind", table(network(), nil))
}
