package gateway

// Allowance is how long an upload may take.
var Allowance = allowance
