// Package console is the hub's face for officials: HTML pages rendered on the
// server, in Vietnamese and English.
//
// It holds no rule about documents. Every handler parses the request, makes one
// call of exchange.Service (plus reads for what the page shows) and renders; one
// table turns the kinds of exchange.Error into status and page. Every page works
// without scripts; htmx and the PDF viewer only make it quicker. All assets are
// embedded, and the Content-Security-Policy allows nothing from elsewhere and
// nothing inline.
package console
