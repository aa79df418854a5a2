package remote

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// dialWait bounds each connection and each answer of a dialled server.
const dialWait = 3 * time.Second

// login is how one server is asked. References are resolved on this machine.
type login struct {
	user, password string
	tls            *tls.Config
}

func loginOf(user, password string, t *pointsmanv1.ClientTls) (l login, err error) {
	l.user = user
	if l.password, err = config.ResolveSecret(password); err != nil || t == nil {
		return l, err
	}
	l.tls, err = config.ClientTLS(t)
	return l, err
}

// nobody is the same server without a user: what anyone who reaches it may do.
func (l login) nobody() login { return login{tls: l.tls} }

// client makes one connection at most, and never asks twice.
func (l login) client(address string) *redis.Client {
	conf := l.tls
	if conf != nil && conf.ServerName == "" {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(address)
	}
	return redis.NewClient(&redis.Options{
		Addr: address, Protocol: 2, Username: l.user, Password: l.password, TLSConfig: conf,
		DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, PipelinePoolSize: -1,
		DialTimeout: dialWait, ReadTimeout: dialWait, WriteTimeout: dialWait,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// words asks for a flat list of names and values.
func words(ctx context.Context, c *redis.Client, args ...any) (map[string]string, error) {
	flat, err := c.Do(ctx, args...).StringSlice()
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for i := 0; i+1 < len(flat); i += 2 {
		all[flat[i]] = flat[i+1]
	}
	return all, nil
}
