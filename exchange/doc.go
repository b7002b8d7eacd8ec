// Package exchange is the life of an official document: drafted, signed by
// people and sealed by the agency, numbered, sent to other agencies with proof
// of every step, received, registered, answered, archived and counted.
//
// It owns the tables exchange_*. Every act and its evidence entry are one
// transaction; what leaves the process is a job written in that transaction;
// bytes are stored before the row that names them.
package exchange
