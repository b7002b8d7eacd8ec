package mail

import (
	"math"
	"slices"
)

// MaxUID is the largest UID; as the end of a range it stands for "all above".
const MaxUID UID = math.MaxUint32

// UIDRange is a range of UIDs, both ends in it.
type UIDRange struct{ First, Last UID }

// UIDSet is a set of UIDs as ranges, in any order.
type UIDSet []UIDRange

// maxSQLRanges is the number of ranges that a query names; larger sets are read
// from their lowest to their highest UID and sifted here.
const maxSQLRanges = 30

// UIDs makes a set of single UIDs, joining neighbours.
func UIDs(uids ...UID) UIDSet {
	sorted := slices.Clone(uids)
	slices.Sort(sorted)
	var set UIDSet
	for _, u := range sorted {
		if n := len(set); n > 0 && (u == set[n-1].Last || u == set[n-1].Last+1) {
			set[n-1].Last = u
			continue
		}
		set = append(set, UIDRange{u, u})
	}
	return set
}

// Contains reports whether the set has the UID.
func (s UIDSet) Contains(u UID) bool {
	for _, r := range s {
		if u >= r.First && u <= r.Last {
			return true
		}
	}
	return false
}

// bounds is the smallest range around the set.
func (s UIDSet) bounds() (r UIDRange, ok bool) {
	for i, x := range s {
		if i == 0 {
			r = x
			continue
		}
		r.First, r.Last = min(r.First, x.First), max(r.Last, x.Last)
	}
	return r, len(s) > 0
}

// plan gives the ranges to ask SQL for and whether what comes must be sifted.
func (s UIDSet) plan() (ranges UIDSet, sift bool) {
	if len(s) <= maxSQLRanges {
		return s, false
	}
	r, _ := s.bounds()
	return UIDSet{r}, true
}
