// A gRPC client of Go without a proxy: makes the calls that it reads, one a line, and answers each with a line. Its bootstrap is in the environment.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

type asked struct {
	ID       int               `json:"id"`
	Target   string            `json:"target"`
	Headers  map[string]string `json:"headers"`
	WithinMs int               `json:"withinMs"`
}

// Messages pass as bytes.
type asItIs struct{}

func (asItIs) Name() string                        { return "proto" }
func (asItIs) Marshal(value any) ([]byte, error)   { return *value.(*[]byte), nil }
func (asItIs) Unmarshal(data []byte, to any) error { *to.(*[]byte) = data; return nil }

func main() {
	creds, err := xds.NewClientCredentials(xds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		panic(err)
	}
	var mutex sync.Mutex
	connections := map[string]*grpc.ClientConn{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var call asked
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			panic(err)
		}
		connection := connections[call.Target]
		if connection == nil {
			if connection, err = grpc.NewClient("xds:///"+call.Target, grpc.WithTransportCredentials(creds)); err != nil {
				panic(err)
			}
			connections[call.Target] = connection
		}
		go func() {
			within, end := context.WithTimeout(context.Background(), time.Duration(call.WithinMs)*time.Millisecond)
			defer end()
			within = metadata.NewOutgoingContext(within, metadata.New(call.Headers))
			request, answer := []byte("hello"), []byte{}
			err := connection.Invoke(within, "/test.Echo/Say", &request, &answer, grpc.ForceCodec(asItIs{}))
			text := string(answer)
			if err != nil {
				text = status.Convert(err).Message()
			}
			line, _ := json.Marshal(map[string]any{"id": call.ID, "code": status.Code(err), "text": text})
			mutex.Lock()
			defer mutex.Unlock()
			fmt.Println(string(line))
		}()
	}
}
