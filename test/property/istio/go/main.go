// What Istio's own code makes of a mesh. A line of JSON in, a line out; messages are their bytes in base64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/gatewayapi"
	"istio.io/istio/pkg/log"
)

type workload struct {
	Name, Namespace, Kind, Ip, ServiceAccount string
	Labels                                    map[string]string
}

type question struct {
	// YAML: MeshConfig over Istio's defaults, and objects of Kubernetes' own.
	Mesh, Kubernetes string
	// Objects of Istio's API, each as JSON.
	Config  []string
	Proxies []workload
}

type resources struct {
	Listeners, Routes, Clusters, Endpoints [][]byte
}

type answer struct {
	Proxies []resources
	// Why validation refuses an object, by its place; those have no effect.
	Refused map[int]string
	// Why there are none.
	Failed string `json:",omitempty"`
}

// What a test would be: here one that fails ends the question that it is for.
type asking struct{ cleanups []func() }

func (a *asking) Fail()                         { a.Fatal("failed") }
func (a *asking) FailNow()                      { a.Fatal("failed") }
func (a *asking) Fatal(args ...any)             { panic(fmt.Sprint(args...)) }
func (a *asking) Fatalf(form string, of ...any) { panic(fmt.Sprintf(form, of...)) }
func (a *asking) Log(...any)                    {}
func (a *asking) Logf(string, ...any)           {}
func (a *asking) TempDir() string               { return os.TempDir() }
func (a *asking) Helper()                       {}
func (a *asking) Cleanup(done func())           { a.cleanups = append(a.cleanups, done) }
func (a *asking) Skip(...any)                   { a.Fatal("skipped") }

func encoded[T proto.Message](messages []T) [][]byte {
	all := make([][]byte, len(messages))
	for i, message := range messages {
		bytes, err := proto.Marshal(message)
		if err != nil {
			panic(err)
		}
		all[i] = bytes
	}
	return all
}

// A proxy asks for a name once; here a name that two listeners have is asked for twice, and the second answer is made of what the first has changed.
func firstOfEach(routes []*route.RouteConfiguration) []*route.RouteConfiguration {
	seen := map[string]bool{}
	var out []*route.RouteConfiguration
	for _, each := range routes {
		if !seen[each.Name] {
			seen[each.Name] = true
			out = append(out, each)
		}
	}
	return out
}

func (w workload) proxy() *model.Proxy {
	kind := model.SidecarProxy
	if w.Kind == "router" {
		kind = model.Router
	}
	metadata := &model.NodeMetadata{
		Labels: w.Labels, Namespace: w.Namespace, ServiceAccount: w.ServiceAccount, ClusterID: cluster.ID("Kubernetes"), IstioVersion: "1.31.0",
	}
	return &model.Proxy{
		Type: kind, ID: w.Name + "." + w.Namespace, IPAddresses: []string{w.Ip}, Labels: w.Labels, ConfigNamespace: w.Namespace, Metadata: metadata,
	}
}

func answerTo(asked question) (out answer) {
	test := &asking{}
	defer func() {
		if why := recover(); why != nil {
			out = answer{Failed: fmt.Sprint(why)}
		}
		for i := len(test.cleanups) - 1; i >= 0; i-- {
			test.cleanups[i]()
		}
	}()
	meshConfig, err := mesh.ApplyMeshConfigDefaults(asked.Mesh)
	if err != nil {
		panic(err)
	}
	out.Refused = map[int]string{}
	var configs []config.Config
	for i, object := range asked.Config {
		parsed, _, err := crd.ParseInputs(object)
		if err != nil {
			out.Refused[i] = err.Error()
			continue
		}
		for _, each := range parsed {
			each.Domain = "cluster.local"
			configs = append(configs, each)
		}
	}
	server := xds.NewFakeDiscoveryServer(test, xds.FakeOptions{
		Configs: configs, KubernetesObjectString: asked.Kubernetes, MeshConfig: meshConfig, DisableSecretAuthorization: true,
	})
	for _, each := range asked.Proxies {
		proxy := server.SetupProxy(each.proxy())
		out.Proxies = append(out.Proxies, resources{
			Listeners: encoded(server.Listeners(proxy)),
			Routes:    encoded(firstOfEach(server.Routes(proxy))),
			Clusters:  encoded(server.Clusters(proxy)),
			Endpoints: encoded(server.Endpoints(proxy)),
		})
	}
	return out
}

func main() {
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.NoneLevel)
	}
	// The fake cluster's kinds have no version.
	clear(gatewayapi.MinimumCRDVersions)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		line, err := json.Marshal(answerTo(asked))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
