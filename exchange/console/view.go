package console

import "time"

// page is what the base template shows around a screen.
type page struct {
	Title   string
	Langs   []langLink
	Actor   *actorView // nil = nobody is logged in: no menu
	Nav     []navItem
	Done    string // what the step before this page achieved
	Problem *problemView
	Viewer  bool // loads the PDF viewer and its wider policy
	Body    any
}

type langLink struct {
	Code, Name, Label, URL string
	Current                bool
}

type actorView struct {
	Name, Roles, Agency string
	CanDraft            bool
}

type navItem struct {
	Label, URL     string
	Group, Current bool
}

// problemView is an error told to a person: what happened, what was kept, what to do.
type problemView struct {
	Message, Kept, Advice, Ref string
	Fields                     []fieldProblem
}

type fieldProblem struct{ Name, Message string }

// chip is a status: a mark and a word; the tone only helps.
type chip struct{ Tone, Icon, Label string }

type option struct {
	Value, Label string
	Selected     bool
}

type fact struct{ Name, Value string }

type filterView struct {
	Action, Query, Placeholder string
	States, Years              []option
	Active                     bool
}

type pagerView struct{ First, Next string }

type stepView struct{ Label, Class string }

type loginBody struct {
	Next, Login   string
	Expired, Lost bool
	Problem       *problemView
}

type queue struct {
	Label, Hint, Count, URL string
	Zero, Hot               bool
}

type homeBody struct {
	Greeting string
	Queues   []queue
	Incoming []incomingRow
	Outgoing []outgoingRow
	CanDraft bool
}

type incomingRow struct {
	URL, Subject, Code, Type, Issued, From, FromCode string
	Received                                         time.Time
	Due, Arrival, Priority                           string
	Late                                             bool
	Verdict, Status                                  chip
}

type outgoingRow struct {
	URL, Subject, Code, Type, Signer, Priority string
	Created, Sent                              time.Time
	Late                                       bool
	State                                      chip
}

type incomingListBody struct {
	Filter  filterView
	Rows    []incomingRow
	Pager   pagerView
	CanScan bool // may register what came on paper
}

type outgoingListBody struct {
	Filter   filterView
	Rows     []outgoingRow
	Pager    pagerView
	CanDraft bool
}

// verdictView is the judgement of a PDF: one sentence, five named checks, each signature.
type verdictView struct {
	Tone, Icon, Sentence string
	Detail               string // the technical cause behind the sentence
	Checks               []checkView
	Signatures           []signatureView
}

type checkView struct{ Name, Tone, Icon, Word, Detail string }

type signatureView struct {
	Signer, Organization string
	Chip                 chip
	Facts                []fact
	Reasons              []reasonView
}

// reasonView is a reason in words; Detail is its technical part.
type reasonView struct{ Text, Detail string }

// trailView is a timeline, oldest first; the page folds Older away.
type trailView struct{ Older, Latest []eventRow }

type eventRow struct {
	What, By, Proof string
	At              time.Time
}

// action is one thing the actor can do next. Exactly one of a bar is Primary.
type action struct {
	Key, URL, Label, Hint, Button string
	Primary, Wait, Link           bool
	Passphrase                    bool  // asks for the passphrase of a key
	Big                           bool  // a form of several fields, folded until it is asked for
	Form                          *form // what is filled in, nil = nothing
	Hidden                        []fact
}

type receiptRow struct {
	URL, Label string
	At         time.Time
}

type deliveryRow struct {
	Name, Recipient, Channel, Arrival, Trouble string
	Status                                     chip
	Updated                                    time.Time
	Receipts                                   []receiptRow
}

type documentBody struct {
	URL, PDF, Subject, Code, Type, Priority string
	State                                   chip
	Steps                                   []stepView
	Verdict                                 *verdictView
	Every                                   string // how often the recipients are asked for again, "" = all is final
	Deliveries                              []deliveryRow
	Requests                                []requestView
	Facts, Details                          []fact
	Events                                  trailView
	Actions                                 []action
	Next                                    []nextRow
	Versions                                []versionRow
	Comments                                []commentRow
	Returned                                bool // given back to its drafter
}

type stampView struct{ Agency, Number, Day string }

type incomingBody struct {
	PDF, Subject, Code, Type, Priority, FromLine string
	Merged                                       string // address of the entry with which it is one
	Status                                       chip
	Next                                         []nextRow
	Work                                         *handlingView
	Arrivals                                     []arrivalRow
	Alike                                        []alikeView
	Stamp                                        *stampView
	Verdict                                      *verdictView
	Facts, Details                               []fact
	Events                                       trailView
	Actions                                      []action
}

type composeValues struct{ Subject, Type, Notation, Due, Signer, Position, Competence, Priority string }

type composeBody struct {
	Steps                          []stepView
	Limit, Symbol                  string
	Values                         composeValues
	Errors                         map[string]string
	Types, Priorities, Competences []option
	Signers                        []option
}

type recipientRow struct {
	ID, Name, Search string
	Checked          bool
	Channel          chip
}

type sendBody struct {
	DocumentURL, Code, Subject, Query, Hint string
	Steps                                   []stepView
	Recipients                              []recipientRow
	More                                    bool
}

type sentDocument struct {
	URL, Code, Subject string
	Sent               time.Time
	Deliveries         []deliveryRow
}

type sentBody struct {
	Filter    filterView
	Documents []sentDocument
	Pager     pagerView
}

// registerCell names its column, for windows too narrow for a table.
type registerCell struct{ Text, URL, Label string }

type registerRow struct {
	Cells     []registerCell
	Cancelled bool
}

type registerBody struct {
	Title, Lead string
	PDF, XLSX   string // addresses of the register as a file
	CSV         string
	Years       []option
	Columns     []string
	Rows        []registerRow
}

type rateBar struct {
	Name, Rate, Population, Electronic string
	Width                              int // of 1000
	Low                                bool
}

type rateCause struct{ Cause, Count, Owner, Next, URL string }

type rateBody struct {
	From, To, Rate, Sentence string
	Population               int
	Facts                    []fact
	Bars                     []rateBar
	Causes                   []rateCause
	Quarters                 []fact // the quarterly reports that can be had, with their queries
}

type checkBody struct {
	File, Limit string
	Verdict     *verdictView
	Explain     []fact
	Pictures    *picturesView
}

type agencyRow struct {
	ID, Name, Place, Symbol, Mail, Parent string
	Channel                               chip
}

type agenciesBody struct {
	Filter filterView
	Rows   []agencyRow
	Pager  pagerView
	CanAdd bool
	New    agencyRow
}

type personRow struct {
	Name, Position, Login, Roles, Mail string
	State                              chip
}

type peopleBody struct {
	Agency, AgencyID string
	Agencies, Roles  []option
	Rows             []personRow
	CanAdd           bool
	New              personRow
}

type certificateRow struct {
	Subject, Fingerprint, Issuer string
	Until                        time.Time
	State                        chip
}

type keyOwner struct {
	Kind, Title  string
	Certificates []certificateRow
	CanSet       bool
}

type accountBody struct {
	Name, Line string
	Owners     []keyOwner
}

// tableBody is a list on a screen of its own; Crumb leads back.
type tableBody struct {
	Title, Lead, Empty string
	Crumb              fact
	Notes              []string
	Columns            []string
	Rows               []registerRow
	Pager              pagerView
}

type hookForm struct{ URL, Description, Events string }

type hookRow struct {
	Path, URL, Description, Events, Sent, Waiting string
	Since                                         time.Time
	State                                         chip
}

type hooksBody struct {
	Rows []hookRow
	New  hookForm
}

type hookMessage struct {
	Seq            int64
	Kind, Attempts string
	At, Next       time.Time
	Waiting        bool
	State          chip
}

type hookAttempt struct {
	Seq          int64
	At           time.Time
	Took, Answer string
	State        chip
}

type hookBody struct {
	Hook           hookRow
	Form           hookForm
	Secret, Reason string
	Active         bool
	Facts          []fact
	Messages       []hookMessage
	Attempts       []hookAttempt
	Pager          pagerView
}

// requestView is what was asked about a document after it was sent, with the fate of each copy.
type requestView struct {
	Title  string
	At     time.Time
	Copies []deliveryRow
}

type errorBody struct{ Heading, Message, Kept, Advice, BackURL, Back, Ref string }
