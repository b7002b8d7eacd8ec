// Package axis owns the API of the national document axis (Trục liên thông văn bản quốc gia): as server, to which
// agencies' existing software connects unchanged, and as client, with which this hub connects to the axis or to a
// province's platform. Packets are package edxml's; the life of documents is package exchange's.
//
// Calls are POST /axis/<operation>; parameters travel in headers XroadVnpt-*, a JSON object of which is signed by
// HMAC-SHA256 under the system's secret. Clients in the field repeat a call silently when the connection drops, sign
// with a time stamp that may be old, and send headers of earlier calls along: so only what is signed counts, age alone
// refuses nothing within Config.MaxAge, and a packet sent twice is one packet with one DocId.
package axis
