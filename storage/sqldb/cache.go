package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Limits of one connection's statement cache.
const (
	maxStatements = 256
	usesToPrepare = 2
)

// cachingConnector gives SQLite connections that keep their statements
// prepared. Parsing a statement costs SQLite more than running a small one,
// and database/sql prepares anew for every Exec and Query of a plain text;
// caching in the connection serves our transactions and River's alike.
type cachingConnector struct{ driver.Connector }

// Connect opens a connection with an empty cache.
func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := inner.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite connection %T lacks a method", inner), inner.Close())
	}
	return &cachedConn{sqliteConn: conn, uses: make(map[string]int), stmts: make(map[string]*cachedStmt)}, nil
}

// sqliteConn is what the driver's connections can do and database/sql uses.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachedConn is used by one goroutine at a time: database/sql sees to that.
type cachedConn struct {
	sqliteConn
	uses  map[string]int
	stmts map[string]*cachedStmt
}

type cachedStmt struct {
	sqliteStmt
	busy bool // its rows are being read
}

// ExecContext runs a statement, prepared if it was seen before.
func (c *cachedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return stmt.ExecContext(ctx, args)
}

// QueryContext runs a query, prepared if it was seen before.
func (c *cachedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	stmt, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	stmt.busy = true
	return &cachedRows{Rows: rows, stmt: stmt}, nil
}

// statement gives the prepared form of query; nil when the text is new, rare
// or in the middle of another result.
func (c *cachedConn) statement(ctx context.Context, query string) (*cachedStmt, error) {
	if stmt, ok := c.stmts[query]; ok {
		if stmt.busy {
			return nil, nil
		}
		return stmt, nil
	}
	if len(c.uses) >= 4*maxStatements {
		clear(c.uses) // texts made on the fly must not pile up
	}
	c.uses[query]++
	if c.uses[query] < usesToPrepare || len(c.stmts) >= maxStatements {
		return nil, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	inner, ok := prepared.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite statement %T lacks a method", prepared), prepared.Close())
	}
	stmt := &cachedStmt{sqliteStmt: inner}
	c.stmts[query] = stmt
	return stmt, nil
}

// Close closes the statements and the connection.
func (c *cachedConn) Close() error {
	var errs []error
	for _, stmt := range c.stmts {
		errs = append(errs, stmt.Close())
	}
	clear(c.stmts)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// cachedRows frees its statement when it is closed.
type cachedRows struct {
	driver.Rows
	stmt *cachedStmt
}

// Close resets the statement for the next use.
func (r *cachedRows) Close() error {
	r.stmt.busy = false
	return r.Rows.Close()
}
