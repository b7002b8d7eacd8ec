package receipt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"
)

// member is one file of a container.
type member struct {
	name string
	data []byte
}

// Sizes and constants of the zip format (APPNOTE 6.3.9 §4.3.7, §4.3.12, §4.3.16). All fields that say nothing about the
// content have one value.
const (
	localSize   = 30
	centralSize = 46
	endSize     = 22

	localMark   = 0x04034b50
	centralMark = 0x02014b50
	endMark     = 0x06054b50

	zipVersion = 20
	utf8Flag   = 0x0800
	noTime     = 0
	firstDay   = 0x21 // 1980-01-01
	maxName    = 200
)

// pack writes members in the one form that a bundle has.
func pack(members []member) []byte {
	var out, directory bytes.Buffer
	le := binary.LittleEndian
	for _, m := range members {
		offset := out.Len()
		common := le.AppendUint16(nil, zipVersion)
		common = le.AppendUint16(common, utf8Flag)
		common = le.AppendUint16(common, 0) // stored
		common = le.AppendUint16(common, noTime)
		common = le.AppendUint16(common, firstDay)
		common = le.AppendUint32(common, crc32.ChecksumIEEE(m.data))
		common = le.AppendUint32(common, uint32(len(m.data)))
		common = le.AppendUint32(common, uint32(len(m.data)))
		common = le.AppendUint16(common, uint16(len(m.name)))
		common = le.AppendUint16(common, 0) // no extra field

		out.Write(le.AppendUint32(nil, localMark))
		out.Write(common)
		out.WriteString(m.name)
		out.Write(m.data)

		directory.Write(le.AppendUint32(nil, centralMark))
		directory.Write(le.AppendUint16(nil, zipVersion))
		directory.Write(common)
		directory.Write(make([]byte, 2+2+2+4)) // comment, disk, attributes
		directory.Write(le.AppendUint32(nil, uint32(offset)))
		directory.WriteString(m.name)
	}
	from := out.Len()
	out.Write(directory.Bytes())
	out.Write(le.AppendUint32(nil, endMark))
	out.Write(make([]byte, 4)) // disks
	out.Write(le.AppendUint16(nil, uint16(len(members))))
	out.Write(le.AppendUint16(nil, uint16(len(members))))
	out.Write(le.AppendUint32(nil, uint32(directory.Len())))
	out.Write(le.AppendUint32(nil, uint32(from)))
	out.Write(make([]byte, 2)) // no comment
	return out.Bytes()
}

// damage names the place of a byte that is not what it has to be.
type damage struct {
	member string // "" = the list of members at the end
	offset int
	text   finding
}

// unpack reads a container that is exactly what pack writes; anything else is damage, with the member where it begins.
// The members share data's memory.
func unpack(data []byte) ([]member, *damage) {
	if len(data) > maxBundle {
		return nil, &damage{text: said("Tệp lớn hơn %d byte.", "The file is larger than %d bytes.", maxBundle)}
	}
	var members []member
	seen := map[string]bool{}
	le := binary.LittleEndian
	at := 0
	for len(data)-at >= localSize && le.Uint32(data[at:]) == localMark {
		size, name := int(le.Uint32(data[at+18:])), int(le.Uint16(data[at+26:]))
		start := at + localSize + name
		if name == 0 || name > maxName || start > len(data) || size > len(data)-start {
			return nil, &damage{last(members), at, said("Phần đầu của một thành phần bị hỏng ở byte %d.", "The header of a member is damaged at byte %d.", at)}
		}
		m := member{string(data[at+localSize : start]), data[start : start+size : start+size]}
		switch {
		case !plain(m.name):
			return nil, &damage{m.name, at, said("Tên thành phần %q không hợp lệ.", "The member name %q is not allowed.", m.name)}
		case seen[m.name]:
			return nil, &damage{m.name, at, said("Thành phần %q có hai lần.", "The member %q is there twice.", m.name)}
		case len(members) == maxMembers:
			return nil, &damage{m.name, at, said("Quá %d thành phần.", "More than %d members.", maxMembers)}
		}
		seen[m.name] = true
		members = append(members, m)
		at = start + size
	}
	if len(members) == 0 {
		return nil, &damage{text: said("Tệp không phải là gói biên bản.", "The file is no receipt bundle.")}
	}
	want := pack(members)
	for i := range min(len(data), len(want)) {
		if data[i] != want[i] {
			return nil, located(members, i)
		}
	}
	if len(data) != len(want) {
		return nil, &damage{"", min(len(data), len(want)),
			said("Tệp có %[1]d byte, đúng ra phải có %[2]d.", "The file has %[1]d bytes, it should have %[2]d.", len(data), len(want))}
	}
	return members, nil
}

func last(members []member) string {
	if len(members) == 0 {
		return ""
	}
	return members[len(members)-1].name
}

// located says in which member a byte is.
func located(members []member, offset int) *damage {
	at := 0
	for _, m := range members {
		end := at + localSize + len(m.name) + len(m.data)
		if offset < end {
			return &damage{m.name, offset, said("Thành phần %q đã bị thay đổi (byte %d).", "The member %q was changed (byte %d).", m.name, offset)}
		}
		at = end
	}
	return &damage{"", offset, said("Danh mục ở cuối tệp đã bị thay đổi (byte %d).", "The directory at the end of the file was changed (byte %d).", offset)}
}

// plain tells a name that stays in the container and that every program reads the same: small ASCII paths.
func plain(name string) bool {
	if !utf8.ValidString(name) || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./", r)
	})
}

// finding is a sentence in both languages.
type finding struct{ vi, en string }

func said(vi, en string, args ...any) finding {
	if len(args) == 0 {
		return finding{vi, en}
	}
	return finding{fmt.Sprintf(vi, args...), fmt.Sprintf(en, args...)}
}
