package process

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// A program of Go's asks the kernel's page of shared code (the vDSO) for the time, and not the C library, so that no preloaded library reaches
// it. ShiftClock writes another clock_gettime into the process's own copy of that page: it asks the kernel, and adds a number of seconds to
// the wall clock, which stands behind it. The monotonic clock stays, as it does when an operator sets a clock.
var clockCode = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax, SYS_clock_gettime
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
	0x75, 0x0a, // jne to the ret
	0x48, 0x8b, 0x0d, 0x06, 0x00, 0x00, 0x00, // mov rcx, [the seconds]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3,       // ret
	0xcc, 0xcc, // up to a multiple of eight
	0, 0, 0, 0, 0, 0, 0, 0, // the seconds
}

// clockSeconds is where in the code the seconds are.
const clockSeconds = 24

// ShiftClock sets the process's wall clock ahead of the machine's, or behind it; zero sets it back. Needs the right to write into the process,
// which root and its parent have.
func (p *Process) ShiftClock(by time.Duration) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.PID()), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	at, err := p.clockAt(mem)
	if err != nil {
		return fmt.Errorf("the process's clock can't be shifted: %w", err)
	}
	_, err = mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(int64(by/time.Second))), at+clockSeconds)
	return err
}

// clockAt is where the code is in the process, which is written there at first.
func (p *Process) clockAt(mem *os.File) (int64, error) {
	from, page, err := p.vdso(mem)
	if err != nil {
		return 0, err
	}
	file, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	entry := int64(0)
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			entry = int64(s.Value)
		}
	}
	if entry == 0 || entry+5 > int64(len(page)) {
		return 0, errors.New("the kernel's shared code has no __vdso_clock_gettime")
	}
	// The page ends in zeros, where there is room.
	free := (int64(len(bytes.TrimRight(page, "\x00"))) + 31) &^ 15
	if found := int64(bytes.Index(page, clockCode[:clockSeconds])); found >= 0 {
		return from + found, nil
	}
	if free+int64(len(clockCode)) > int64(len(page)) {
		return 0, errors.New("the kernel's shared code leaves no room")
	}
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(int32(free-entry-5)))
	// No thread may be in the bytes that are written, which are five at the beginning of a function.
	if err := p.stopped(func() error {
		_, codeErr := mem.WriteAt(clockCode, from+free)
		_, jumpErr := mem.WriteAt(jump, from+entry)
		return errors.Join(codeErr, jumpErr)
	}); err != nil {
		return 0, err
	}
	return from + free, nil
}

// vdso is the address and the bytes of the kernel's shared code in the process.
func (p *Process) vdso(mem *os.File) (from int64, page []byte, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID()))
	if err != nil {
		return 0, nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		var to int64
		if _, err := fmt.Sscanf(line, "%x-%x ", &from, &to); err != nil {
			return 0, nil, err
		}
		page = make([]byte, to-from)
		_, err = mem.ReadAt(page, from)
		return from, page, err
	}
	return 0, nil, errors.New("the process has no [vdso]")
}

// stopped does something while the process stands still.
func (p *Process) stopped(do func() error) error {
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { _ = syscall.Kill(p.PID(), syscall.SIGCONT) }()
	for deadline := time.Now().Add(readyLimit); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return err
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "T") {
			return do()
		}
		if time.Now().After(deadline) {
			return errors.New("the process does not stand still")
		}
	}
}
