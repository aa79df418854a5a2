package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// The parts of gRPC's service config that are used here.
type config struct {
	LoadBalancing []map[string]struct{} `json:"loadBalancingConfig"`
	Health        *healthCheck          `json:"healthCheckConfig,omitempty"`
	Methods       []methodConfig        `json:"methodConfig"`
}

type healthCheck struct {
	Service string `json:"serviceName"`
}

type methodConfig struct {
	Names        []methodName `json:"name"`
	WaitForReady bool         `json:"waitForReady"`
	Timeout      string       `json:"timeout,omitempty"`
	Retry        *retryPolicy `json:"retryPolicy,omitempty"`
}

type methodName struct {
	Service string `json:"service,omitempty"`
	Method  string `json:"method,omitempty"`
}

type retryPolicy struct {
	MaxAttempts int      `json:"maxAttempts"`
	Initial     string   `json:"initialBackoff"`
	Max         string   `json:"maxBackoff"`
	Multiplier  float64  `json:"backoffMultiplier"`
	Codes       []string `json:"retryableStatusCodes"`
}

// serviceConfig builds the config. With a health service, calls go only to
// nodes on which it serves, and wait for one; without, a call fails once no
// endpoint can be reached.
func serviceConfig(health string) string {
	wait := health != ""
	// Five attempts are the most that gRPC makes, and outlast an election.
	retry := &retryPolicy{MaxAttempts: 5, Initial: "0.1s", Max: "1s", Multiplier: 2, Codes: []string{"UNAVAILABLE"}}
	c := config{
		LoadBalancing: []map[string]struct{}{{"round_robin": {}}},
		Methods: []methodConfig{
			{Names: []methodName{{}}, WaitForReady: wait, Timeout: seconds(CallTime), Retry: retry},
			{Names: names(
				pointsmanv1.FailoverService_WatchFailovers_FullMethodName,
				pointsmanv1.ActionService_WatchActions_FullMethodName,
				pointsmanv1.SettingService_WatchSettings_FullMethodName,
				pointsmanv1.LeaseService_WatchLeases_FullMethodName,
			), WaitForReady: wait, Retry: retry},
			// A stream of renewals has no deadline and is not repeated: who renews
			// counts from before it sent, and asks anew.
			{Names: names(pointsmanv1.LeaseService_KeepAlive_FullMethodName), WaitForReady: wait},
			{Names: names(pointsmanv1.ClusterService_VerifyNode_FullMethodName), WaitForReady: wait, Timeout: seconds(verifyTime)},
		},
	}
	if health != "" {
		c.Health = &healthCheck{Service: health}
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return string(text)
}

// names splits "/package.Service/Method".
func names(methods ...string) (all []methodName) {
	for _, m := range methods {
		service, method, _ := strings.Cut(strings.TrimPrefix(m, "/"), "/")
		all = append(all, methodName{Service: service, Method: method})
	}
	return all
}

func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
