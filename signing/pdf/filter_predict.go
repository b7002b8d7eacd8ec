package pdf

// unpredict undoes a PNG or TIFF predictor (ISO 32000-2 §7.4.4.4).
func unpredict(data []byte, parms Dict) ([]byte, error) {
	predictor, ok := parms.Int("Predictor")
	if !ok || predictor <= 1 {
		return data, nil
	}
	get := func(key Name, def, highest int64) (int, bool) {
		v, ok := parms.Int(key)
		if !ok {
			v = def
		}
		return int(v), v >= 1 && v <= highest
	}
	colors, ok1 := get("Colors", 1, 32)
	bits, ok2 := get("BitsPerComponent", 8, 16)
	columns, ok3 := get("Columns", 1, 1<<24)
	if !ok1 || !ok2 || !ok3 || bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16 {
		return nil, damaged(-1, "malformed predictor parameters")
	}
	row, pixel := (colors*bits*columns+7)/8, (colors*bits+7)/8
	if predictor == 2 {
		return untiff(data, row, colors, bits), nil
	}
	return unpng(data, row, pixel)
}

// unpng undoes the PNG filters in place; each row starts with its filter type.
func unpng(data []byte, row, pixel int) ([]byte, error) {
	out := data[:0]
	var prev []byte
	for len(data) > 1 {
		kind := data[0]
		cur := data[1:min(row+1, len(data))]
		data = data[len(cur)+1:]
		if kind > 4 {
			return nil, damaged(-1, "unknown PNG filter")
		}
		unfilter(kind, cur, prev, pixel)
		// out trails data by the filter bytes, so that moving the row forward never overwrites unread input.
		n := len(out)
		out = append(out, cur...)
		prev = out[n:]
	}
	return out, nil
}

// unfilter undoes one row.
func unfilter(kind byte, cur, prev []byte, pixel int) {
	above := func(i int) int {
		if i >= 0 && i < len(prev) {
			return int(prev[i])
		}
		return 0
	}
	for i := range cur {
		left, upLeft := 0, 0
		if i >= pixel {
			left, upLeft = int(cur[i-pixel]), above(i-pixel)
		}
		up := above(i)
		switch kind {
		case 1:
			cur[i] += byte(left)
		case 2:
			cur[i] += byte(up)
		case 3:
			cur[i] += byte((left + up) / 2)
		case 4:
			cur[i] += byte(paeth(left, up, upLeft))
		}
	}
}

func paeth(a, b, c int) int {
	p := a + b - c
	pa, pb, pc := abs(p-a), abs(p-b), abs(p-c)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// untiff undoes TIFF predictor 2 in place.
func untiff(data []byte, row, colors, bits int) []byte {
	for start := 0; start < len(data); start += row {
		line := data[start:min(start+row, len(data))]
		switch bits {
		case 8:
			for i := colors; i < len(line); i++ {
				line[i] += line[i-colors]
			}
		case 16:
			for i := 2 * colors; i+1 < len(line); i += 2 {
				v := uint16(line[i])<<8 | uint16(line[i+1])
				w := uint16(line[i-2*colors])<<8 | uint16(line[i-2*colors+1])
				v += w
				line[i], line[i+1] = byte(v>>8), byte(v)
			}
		default:
			untiffBits(line, colors, bits)
		}
	}
	return data
}

// untiffBits handles components of less than a byte.
func untiffBits(line []byte, colors, bits int) {
	mask := byte(1<<bits - 1)
	perByte := 8 / bits
	get := func(i int) byte { return line[i/perByte] >> (8 - bits - i%perByte*bits) & mask }
	for i := colors; i < len(line)*perByte; i++ {
		shift := 8 - bits - i%perByte*bits
		v := (get(i) + get(i-colors)) & mask
		line[i/perByte] = line[i/perByte]&^(mask<<shift) | v<<shift
	}
}
