// Package edxml owns the packet of the national axis (gói tin edXML, QCVN 102:2016/BTTTT): it reads, judges and writes
// packets and knows nothing of where they come from or go to.
//
// A packet is either a document (văn bản) with its attachments or a status (trạng thái) of one. The reader is tolerant
// of what live systems send (any prefix, any order of elements, cid: once, twice or not at all, wrapped Base64, files
// zipped without need) and refuses what can only do harm: a DOCTYPE, entities, a foreign namespace, Base64 that is none,
// a file name that leaves its folder, archives that explode, elements given twice where one decides. It works in bounded
// memory: attachments go to a temporary file as they are read, and no text of the header may be longer than
// Limits.Text.
//
// The writer's form is the one that the national library writes: elements in its order, CRLF, files other than pdf, doc,
// docx and zip wrapped in a zip of one entry.
package edxml
