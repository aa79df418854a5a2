package redisfence

import (
	"context"
	"fmt"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Check implements actuators.Checker: each candidate that answers is given the
// orders of the transaction and then DISCARD instead of EXEC. Redis checks
// rights when an order is queued (server.c, processCommand: ACLCheckAllPerm
// before queueMultiCommand), and a connection that ends drops its queue.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) (missing []string, err error) {
	for _, address := range s.Candidates {
		why, err := a.rehearse(ctx, address)
		switch {
		case why != "":
			missing = append(missing, fmt.Sprintf("%s: %s", address, why))
		case err != nil && ctx.Err() != nil:
			return missing, context.Cause(ctx)
		}
		// A candidate that does not answer is the Sentinels' to tell of.
	}
	return missing, nil
}

// rehearse says what one node would refuse. Nothing is queued, and so nothing
// done, unless MULTI was granted.
func (a *actuator) rehearse(ctx context.Context, address fsm.Address) (refused string, err error) {
	c, err := a.open(ctx, address)
	if err != nil {
		return "", err
	}
	defer c.close()
	if err := c.redis.Do(ctx, "MULTI").Err(); err != nil {
		return refusal("MULTI", err), err
	}
	host, port := hostPort(address)
	for _, order := range [][]any{{"REPLICAOF", host, port}, {"CLIENT", "KILL", "TYPE", "normal"}} {
		word, err := c.redis.Do(ctx, order...).Text()
		if err != nil {
			return refusal(fmt.Sprint(order[0]), err), err
		}
		if word != "QUEUED" {
			return "", fmt.Errorf("%s answered %.32q: %w", order[0], word, ErrReply)
		}
	}
	err = c.redis.Do(ctx, "DISCARD").Err()
	return refusal("DISCARD", err), err
}

// refusal is what a human has to grant; empty for any other trouble.
func refusal(order string, err error) string {
	if err == nil {
		return ""
	}
	if x := explain(err); actuators.Explain(x).Permanent {
		return fmt.Sprintf("%s: %v", order, x)
	}
	return ""
}
