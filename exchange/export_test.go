package exchange

import (
	"os"
	"testing"
	"time"

	"vanthu/exchange/registry"
)

// Planted is a hub in a data folder in which faults were planted, for the tests of
// the doors.
type Planted struct {
	Service  *Service
	Registry *registry.Registry
	From, To time.Time // the days of the documents
	Found    map[string][]DocumentID
	Now      func() time.Time
	Password string
	Close    func()
}

// PlantFaults plants every fault among documents without one, 10,000 where
// VANTHU_SCALE is set, in a data folder that init has made ("" = a new one), and gives the province
// an administrator "tinh" with a password.
func PlantFaults(t *testing.T, dir string) *Planted {
	n := 300
	if os.Getenv("VANTHU_SCALE") != "" {
		n = 10_000
	}
	p := newPlanter(t, worldOptions{dir: dir})
	p.faultless(t, n)
	p.plantDocuments()
	p.plantDeliveries()
	p.clock.set(p.clock.Now().AddDate(0, 0, 2))
	out := &Planted{Service: p.Service, Registry: p.reg, From: p.clock.Now().AddDate(0, 0, -20), To: p.clock.Now(), Found: p.found, Now: p.clock.Now, Password: "mat-khau-thu-nghiem-1"}
	_, err := p.reg.AddPerson(t.Context(), registry.System("test"), registry.Person{Login: "tinh", Name: "Hoàng Thị Mai", Agency: "H03",
		Roles: []registry.Role{registry.RoleAdministrator, registry.RoleClerk}}, out.Password)
	p.must(err)
	out.Close = func() { p.must(p.store.Close(t.Context())) } // once more at the end of the test does no harm
	return out
}
