package coordinator

import "github.com/pointsman/pointsman/cluster"

// Inspect reads the data directory of a node that does not run; see cluster.Inspect.
func Inspect(o Options) (cluster.Found, error) {
	c, err := clusterConfig(o)
	if err != nil {
		return cluster.Found{}, err
	}
	return cluster.Inspect(c)
}

// Recover begins the cluster again from the data directory of a node that does not
// run; see cluster.Recover.
func Recover(o Options) (cluster.Recovered, error) {
	c, err := clusterConfig(o)
	if err != nil {
		return cluster.Recovered{}, err
	}
	return cluster.Recover(c)
}
