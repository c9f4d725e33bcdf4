// Goroutines that wait in every way there is, and pages that wait for each other.
package main

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

var (
	mutex     sync.Mutex
	shared    sync.RWMutex
	condition = sync.NewCond(new(sync.Mutex))
	group     sync.WaitGroup
	one       = make(chan int, 1)
	several   = make(chan int, 2)
	never     = make(chan int)
	permits   = make(chan struct{}, 3)
	turns     = make(chan struct{}, 3)
	section   sync.Mutex
	quiet     sync.Mutex
)

//go:noinline
func lockMutex() { mutex.Lock() }

//go:noinline
func lockShared() { shared.RLock() }

//go:noinline
func waitCondition() { condition.L.Lock(); condition.Wait() }

//go:noinline
func waitGroup() { group.Wait() }

//go:noinline
func sendOne() { one <- 1 }

//go:noinline
func sendSeveral() { several <- 1 }

//go:noinline
func receive() { <-never }

//go:noinline
func choose() {
	select {
	case <-never:
	case several <- 1:
	case <-time.After(time.Hour):
	}
}

//go:noinline
func doze() { time.Sleep(time.Hour) }

//go:noinline
func read(connection net.Conn) { connection.Read(make([]byte, 1)) }

//go:noinline
func parent() {
	var children sync.WaitGroup
	children.Add(1)
	go child(&children)
	children.Wait()
}

//go:noinline
func child(children *sync.WaitGroup) { defer children.Done(); doze() }

//go:noinline
func enter() {
	section.Lock()
	defer section.Unlock()
	time.Sleep(20 * time.Millisecond)
}

//go:noinline
func borrow() {
	permits <- struct{}{}
	defer func() { <-permits }()
	time.Sleep(60 * time.Millisecond)
}

//go:noinline
func takeTurn() { <-turns; time.Sleep(40 * time.Millisecond) }

func giveTurns() {
	for range time.NewTicker(20 * time.Millisecond).C {
		select {
		case turns <- struct{}{}:
		default:
		}
	}
}

//go:noinline
func spin() (x float64) {
	for i := 0; i < 20000; i++ {
		x += float64(i & 7)
	}
	return x
}

//go:noinline
func decoy() {
	quiet.Lock()
	spin()
	quiet.Unlock()
}

func pages(listener net.Listener) {
	page := func(work func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			decoy()
			work()
			fmt.Fprint(w, "ok")
		}
	}
	http.HandleFunc("/enter", page(enter))
	http.HandleFunc("/borrow", page(borrow))
	http.HandleFunc("/turn", page(takeTurn))
	http.HandleFunc("/stacks", func(w http.ResponseWriter, r *http.Request) {
		text := make([]byte, 1<<20)
		w.Write(text[:runtime.Stack(text, true)])
	})
	http.Serve(listener, nil)
}

func main() {
	silent, _ := net.Listen("tcp", "127.0.0.1:0")
	connection, err := net.Dial("tcp", silent.Addr().String())
	if err != nil {
		panic(err)
	}
	accepted, _ := silent.Accept()
	silent.Close()
	mutex.Lock()
	shared.Lock()
	group.Add(1)
	one <- 1
	several <- 1
	several <- 1
	for i := 0; i < 2; i++ {
		go lockMutex()
	}
	waits := []func(){lockShared, waitCondition, waitGroup, sendOne, sendSeveral, receive, choose, doze, parent}
	for _, wait := range waits {
		go wait()
	}
	go read(connection)
	go giveTurns()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go pages(listener)
	// Until all but this one wait.
	text := make([]byte, 1<<20)
	for runtime.NumGoroutine() < len(waits)+7 || strings.Count(string(text[:runtime.Stack(text, true)]), " [runn") > 1 {
		time.Sleep(time.Millisecond)
	}
	fmt.Printf("ready {\"port\": %d, \"peer\": %q}\n", listener.Addr().(*net.TCPAddr).Port, accepted.LocalAddr())
	fmt.Scanln()
}
