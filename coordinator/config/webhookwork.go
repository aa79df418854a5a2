package config

import (
	"fmt"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Defaults of the section for workers.
const (
	DefaultWorkMetrics = "127.0.0.1:7812"
	DefaultWorkPoll    = 500 * time.Millisecond
	DefaultWorkPollDir = 100 * time.Millisecond
)

// fillWork sets what the file does not; what is left has the worker's own
// defaults.
func fillWork(c *pointsmanv1.WebhookConfig) {
	w := c.GetWork()
	if w == nil {
		return
	}
	fill(&w.Metrics, DefaultWorkMetrics)
	fill(&w.Commits, pointsmanv1.WorkCommits_WORK_COMMITS_AUTO)
	poll := DefaultWorkPoll
	if c.GetStore().GetDir() != nil {
		poll = DefaultWorkPollDir
	}
	fillSpan(&w.Poll, poll)
}

// checkWork compares the fields of a section with each other.
func checkWork(w *pointsmanv1.WorkConfig) []Problem {
	var problems []Problem
	if first, most := w.GetRetry().GetBackoff(), w.GetRetry().GetMaxBackoff(); first != nil && most != nil && first.AsDuration() > most.AsDuration() {
		problems = append(problems, Problem{Path: "work.retry.backoff",
			Message: fmt.Sprintf("is %s, more than max_backoff, %s", first.AsDuration(), most.AsDuration())})
	}
	if w.GetBurstPerShop() > 1 && w.GetRatePerShop() == 0 {
		problems = append(problems, Problem{Path: "work.burst_per_shop", Message: "means nothing without rate_per_shop"})
	}
	return problems
}
