package assign

import "hash/fnv"

// hash is a worker's own number: FNV-1a, the same on every node and release.
func hash(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash.Hash never returns an error
	return h.Sum64()
}

// rank is how highly a worker ranks a partition. Both numbers are stirred by
// the finalizer of SplitMix64 (Steele, Lea, Flood 2014), since FNV alone hardly
// tells workers apart whose names differ in the last letter.
func rank(worker uint64, partition int) uint64 {
	return stir(worker ^ stir(uint64(partition)+1)) //nolint:gosec // 0 to MaxPartitions
}

func stir(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
