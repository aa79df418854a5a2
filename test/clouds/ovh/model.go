package ovh

import "time"

// AllZones is the zone of a frontend or farm that is deployed to every zone of its service.
const AllZones = "all"

// Frontend is the provider's FrontendTcp. A nil pointer or slice is null.
type Frontend struct {
	AllowedSource  []string `json:"allowedSource"`
	DedicatedIpfo  []string `json:"dedicatedIpfo"`
	DefaultFarmID  *int64   `json:"defaultFarmId"`
	DefaultSslID   *int64   `json:"defaultSslId"`
	DeniedSource   []string `json:"deniedSource"`
	Disabled       bool     `json:"disabled"`
	DisplayName    *string  `json:"displayName"`
	FrontendID     int64    `json:"frontendId"`
	Port           string   `json:"port"`
	Ssl            bool     `json:"ssl"`
	VrackNetworkID *int64   `json:"vrackNetworkId"`
	VrackVrouterID *int64   `json:"vrackVrouterId"`
	Zone           string   `json:"zone"`
}

// Farm is the provider's BackendTcp.
type Farm struct {
	Balance        *string `json:"balance"`
	DisplayName    *string `json:"displayName"`
	FarmID         int64   `json:"farmId"`
	Port           *int64  `json:"port"`
	Probe          *Probe  `json:"probe"`
	Stickiness     *string `json:"stickiness"`
	VrackNetworkID *int64  `json:"vrackNetworkId"`
	Zone           string  `json:"zone"`
}

// Probe is the provider's BackendProbe.
type Probe struct {
	ForceSsl *bool   `json:"forceSsl"`
	Interval *int64  `json:"interval"`
	Match    *string `json:"match"`
	Method   *string `json:"method"`
	Negate   *bool   `json:"negate"`
	Pattern  *string `json:"pattern"`
	Port     *int64  `json:"port"`
	Type     *string `json:"type"`
	URL      *string `json:"url"`
}

// Server is the provider's BackendTCPServer.
type Server struct {
	Address              string        `json:"address"`
	BackendID            int64         `json:"backendId"` // the farm's id
	Backup               bool          `json:"backup"`
	Chain                *string       `json:"chain"`
	DisplayName          *string       `json:"displayName"`
	OnMarkedDown         *string       `json:"onMarkedDown"`
	Port                 *int64        `json:"port"` // nil: the farm's
	Probe                bool          `json:"probe"`
	ProxyProtocolVersion *string       `json:"proxyProtocolVersion"`
	ServerID             int64         `json:"serverId"`
	ServerState          []ServerState `json:"serverState"`
	Ssl                  bool          `json:"ssl"`
	Status               string        `json:"status"`
	Weight               *int64        `json:"weight"`
}

// ServerState is what one balancer instance knows of a server. The simulator probes nothing and answers none.
type ServerState struct {
	CheckCode        *string `json:"checkCode"`
	CheckStatus      *string `json:"checkStatus"`
	CheckTime        *string `json:"checkTime"`
	InstanceID       int64   `json:"instanceId"`
	LastCheckContent *string `json:"lastCheckContent"`
	Status           *string `json:"status"`
}

// TaskStatus is a task's state.
type TaskStatus string

// The states of a task.
const (
	TaskTodo      TaskStatus = "todo"
	TaskDoing     TaskStatus = "doing"
	TaskDone      TaskStatus = "done"
	TaskError     TaskStatus = "error"
	TaskCancelled TaskStatus = "cancelled"
	TaskBlocked   TaskStatus = "blocked"
)

// ActionRefresh is the action of the task that a refresh starts.
const ActionRefresh = "refreshIplb"

// Task is the provider's Task.
type Task struct {
	Action       string     `json:"action"`
	CreationDate string     `json:"creationDate"`
	DoneDate     *string    `json:"doneDate"`
	ID           int64      `json:"id"`
	Progress     int64      `json:"progress"`
	Status       TaskStatus `json:"status"`
	Zones        []string   `json:"zones"`
}

// PendingChanges is the number of staged edits of one zone.
type PendingChanges struct {
	Number int64  `json:"number"`
	Zone   string `json:"zone"`
}

type serviceInfo struct {
	DisplayName      *string  `json:"displayName"`
	Iam              *iamInfo `json:"iam"`
	IPLoadbalancing  string   `json:"ipLoadbalancing"`
	IPv4             *string  `json:"ipv4"`
	IPv6             *string  `json:"ipv6"`
	MetricsToken     *string  `json:"metricsToken"`
	Offer            string   `json:"offer"`
	OrderableZone    []any    `json:"orderableZone"`
	ServiceName      string   `json:"serviceName"`
	SslConfiguration *string  `json:"sslConfiguration"`
	State            string   `json:"state"`
	VrackEligibility bool     `json:"vrackEligibility"`
	VrackName        *string  `json:"vrackName"`
	Zone             []string `json:"zone"`
}

type iamInfo struct {
	DisplayName *string           `json:"displayName"`
	ID          string            `json:"id"`
	Tags        map[string]string `json:"tags"`
	URN         string            `json:"urn"`
}

type zoneInfo struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

type statusInfo struct {
	Farms     component     `json:"farms"`
	Frontends component     `json:"frontends"`
	Servers   component     `json:"servers"`
	Service   serviceStatus `json:"service"`
}

type serviceStatus struct {
	Status string `json:"status"`
}

type component struct {
	Status counts `json:"status"`
	Total  int64  `json:"total"`
}

type counts struct {
	Error   int64 `json:"error"`
	OK      int64 `json:"ok"`
	Unknown int64 `json:"unknown"`
	Warn    int64 `json:"warn"`
}

type credentialInfo struct {
	AllowedIPs    []string     `json:"allowedIPs"`
	ApplicationID int64        `json:"applicationId"`
	Creation      string       `json:"creation"`
	CredentialID  int64        `json:"credentialId"`
	Expiration    *string      `json:"expiration"`
	LastUse       *string      `json:"lastUse"`
	OvhSupport    bool         `json:"ovhSupport"`
	Rules         []AccessRule `json:"rules"`
	Status        KeyStatus    `json:"status"`
}

// stamp writes a time as the provider does: RFC 3339 in whole seconds with a numeric offset.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }
