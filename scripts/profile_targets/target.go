// Work of known shares on one goroutine, and waits of four kinds on others: `target WAITERS`.
// Each line on standard input is answered with what the worker did since the last one.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

const held, slept = 20 * time.Millisecond, 50 * time.Millisecond

var (
	lock  sync.Mutex
	pool  = make(chan struct{}, 2)
	turn  sync.Mutex
	units []float64
	spent [3]float64
	began = time.Now()
	sink  float64
)

//go:noinline
func spin(rounds int) (x float64) {
	for i := 0; i < rounds; i++ {
		x += math.Sqrt(float64(i))
	}
	return x
}

//go:noinline
func sixty() { sink += spin(600_000) }

//go:noinline
func thirty() { sink += spin(300_000) }

//go:noinline
func ten() { sink += spin(100_000) }

func work() {
	for {
		start := time.Now()
		at := start
		var took [3]float64
		for n, step := range []func(){sixty, thirty, ten} {
			step()
			now := time.Now()
			took[n], at = now.Sub(at).Seconds(), now
		}
		turn.Lock()
		for n := range took {
			spent[n] += took[n]
		}
		units = append(units, at.Sub(start).Seconds())
		turn.Unlock()
	}
}

func told() map[string]any {
	turn.Lock()
	defer turn.Unlock()
	sort.Float64s(units)
	whole := spent[0] + spent[1] + spent[2]
	p99 := 0.0
	if len(units) > 0 {
		p99 = units[len(units)*99/100] * 1e3
	}
	answer := map[string]any{
		"units": len(units), "seconds": time.Since(began).Seconds(), "p99_ms": p99,
		"shares": []float64{spent[0] / whole, spent[1] / whole, spent[2] / whole},
	}
	units, spent, began = nil, [3]float64{}, time.Now()
	return answer
}

//go:noinline
func hold_lock() { time.Sleep(held) }

//go:noinline
func lock_user() {
	for {
		lock.Lock()
		hold_lock()
		lock.Unlock()
	}
}

//go:noinline
func hold_pool() { time.Sleep(held) }

//go:noinline
func pool_user() {
	for {
		pool <- struct{}{}
		hold_pool()
		<-pool
	}
}

//go:noinline
func sleeper() {
	for {
		time.Sleep(slept)
	}
}

//go:noinline
func reader() {
	link, err := net.Dial("tcp", quiet.Addr().String())
	if err != nil {
		panic(err)
	}
	link.Read(make([]byte, 1))
}

// Nobody accepts what comes to it; kept, since the collector closes a listener that nobody has.
var quiet = listening()

func listening() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

func main() {
	served := listening()
	go http.Serve(served, nil)
	waiters, _ := strconv.Atoi(os.Args[1])
	kinds := []func(){sleeper, lock_user, reader, pool_user}
	for n := 0; n < waiters; n++ {
		go kinds[n%4]()
	}
	go work()
	fmt.Printf("ready {\"port\": %d}\n", served.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, _ := json.Marshal(told())
		fmt.Println(string(answer))
	}
}
