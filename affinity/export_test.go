package affinity

// The codec of Redis's values, for its fuzz tests.
var (
	Encode = encode
	Decode = decode
)
