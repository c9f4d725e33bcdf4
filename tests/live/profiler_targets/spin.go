package main

import (
	"fmt"
	"math"
	"net"
	"net/http"
	_ "net/http/pprof"
)

//go:noinline
func hot() float64 {
	x := 0.0
	for i := 0; i < 3000000; i++ {
		x += math.Sqrt(float64(i))
	}
	return x
}

//go:noinline
func cold() float64 {
	x := 0.0
	for i := 0; i < 300000; i++ {
		x += math.Sqrt(float64(i))
	}
	return x
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	fmt.Printf("ready {\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		hot()
		cold()
		take()
	}
}

var taken []byte

//go:noinline
func take() { taken = make([]byte, 1<<20) }
