// Package samples holds the configuration files to start from: a node file, a
// spec, another with pools of workers, redis.conf, sentinel.conf and haproxy.cfg,
// and what receivers of webhooks run with. They are whole and valid as they stand;
// the playground (pointsman-lab) and the tests run these very files with other
// addresses, so they cannot rot.
package samples
