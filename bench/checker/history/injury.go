package history

import "time"

// Excuse says which sessions a fault may end.
type Excuse string

// The excuses, a closed set.
const (
	Nobody             Excuse = "nobody"               // every session has to live
	SessionsOfNodes    Excuse = "sessions of nodes"    // those whose node is one of Nodes
	SessionsOnReplicas Excuse = "sessions on replicas" // those with a request in flight or a tunnel on one of Replicas, and those that were being made there
	SessionsCut        Excuse = "sessions cut"         // those that clients were told to cut, see package client
	Everybody          Excuse = "everybody"            // all, as when a whole part of the network is gone
)

// Injury is a fault that was done, and what it may excuse. Faults that overlap are several injuries.
type Injury struct {
	Fault    string        `json:"fault"` // as the table names it
	Began    time.Duration `json:"began"` // see Now
	Ended    time.Duration `json:"ended"` // sessions that end later are not excused; so it is the end of the fault's consequences
	Nodes    []string      `json:"nodes,omitempty"`
	Replicas []string      `json:"replicas,omitempty"` // their fronts, as clients dial them
	Excuses  Excuse        `json:"excuses"`
	Once     bool          `json:"once,omitempty"`    // each client may lose one session to it, not two
	Back     time.Duration `json:"back,omitempty"`    // 99 % of the clients that lost a session are back so long after Began; 0 for no limit
	Refuses  bool          `json:"refuses,omitempty"` // clients without a session may be refused meanwhile
	Polling  bool          `json:"polling,omitempty"` // upgrades may fail meanwhile
}
