// Applies patches of EnvoyFilters by Istio's own code. A line of JSON in, a line out; messages are their bytes in base64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core/envoyfilter"
	"istio.io/istio/pkg/config/xds"
)

type messages struct {
	Listeners, Routes, Clusters [][]byte
}

type question struct {
	messages
	Spec json.RawMessage
	Side string
}

// What Istio converts before it applies: elsewhere there is no place to insert at.
var placed = map[networking.EnvoyFilter_ApplyTo]bool{
	networking.EnvoyFilter_HTTP_FILTER:     true,
	networking.EnvoyFilter_HTTP_ROUTE:      true,
	networking.EnvoyFilter_LISTENER_FILTER: true,
	networking.EnvoyFilter_NETWORK_FILTER:  true,
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func decoded[T proto.Message](bytes []byte, message T) T {
	check(proto.Unmarshal(bytes, message))
	return message
}

func encoded(message proto.Message) []byte {
	bytes, err := proto.Marshal(message)
	check(err)
	return bytes
}

func patchesOf(text json.RawMessage) *model.MergedEnvoyFilterWrapper {
	spec := &networking.EnvoyFilter{}
	check(protojson.Unmarshal(text, spec))
	patches := map[networking.EnvoyFilter_ApplyTo][]*model.EnvoyFilterConfigPatchWrapper{}
	for _, each := range spec.ConfigPatches {
		value, err := xds.BuildXDSObjectFromStruct(each.ApplyTo, each.Patch.Value, false)
		check(err)
		match, operation := each.Match, each.Patch.Operation
		if match == nil {
			match = &networking.EnvoyFilter_EnvoyConfigObjectMatch{}
		}
		switch operation {
		case networking.EnvoyFilter_Patch_INSERT_AFTER, networking.EnvoyFilter_Patch_INSERT_BEFORE, networking.EnvoyFilter_Patch_INSERT_FIRST:
			if !placed[each.ApplyTo] {
				operation = networking.EnvoyFilter_Patch_ADD
			}
		}
		wrapper := &model.EnvoyFilterConfigPatchWrapper{ApplyTo: each.ApplyTo, Match: match, Operation: operation, Value: value}
		patches[each.ApplyTo] = append(patches[each.ApplyTo], wrapper)
	}
	return &model.MergedEnvoyFilterWrapper{Patches: patches}
}

// Routes that stand inside of a listener are patched before the listener is.
func patchInline(side networking.EnvoyFilter_PatchContext, patches *model.MergedEnvoyFilterWrapper, chain *listener.FilterChain) {
	for _, filter := range chain.GetFilters() {
		manager := &hcm.HttpConnectionManager{}
		if filter.GetTypedConfig().UnmarshalTo(manager) != nil || manager.GetRouteConfig() == nil {
			continue
		}
		routes := envoyfilter.ApplyRouteConfigurationPatches(side, &model.Proxy{}, patches, manager.GetRouteConfig())
		manager.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: routes}
		config, err := anypb.New(manager)
		check(err)
		filter.ConfigType = &listener.Filter_TypedConfig{TypedConfig: config}
	}
}

func answer(asked question) messages {
	var out messages
	patches := patchesOf(asked.Spec)
	side := networking.EnvoyFilter_PatchContext(networking.EnvoyFilter_PatchContext_value[asked.Side])
	var listeners []*listener.Listener
	for _, bytes := range asked.Listeners {
		each := decoded(bytes, &listener.Listener{})
		if side == networking.EnvoyFilter_SIDECAR_INBOUND {
			for _, chain := range each.FilterChains {
				patchInline(side, patches, chain)
			}
			patchInline(side, patches, each.DefaultFilterChain)
		}
		listeners = append(listeners, each)
	}
	for _, each := range envoyfilter.ApplyListenerPatches(side, patches, listeners, false) {
		out.Listeners = append(out.Listeners, encoded(each))
	}
	for _, bytes := range asked.Routes {
		routes := decoded(bytes, &route.RouteConfiguration{})
		out.Routes = append(out.Routes, encoded(envoyfilter.ApplyRouteConfigurationPatches(side, &model.Proxy{}, patches, routes)))
	}
	for _, bytes := range asked.Clusters {
		if each := envoyfilter.ApplyClusterMerge(side, patches, decoded(bytes, &cluster.Cluster{}), nil); each != nil {
			out.Clusters = append(out.Clusters, encoded(each))
		}
	}
	for _, each := range envoyfilter.InsertedClusters(side, patches) {
		out.Clusters = append(out.Clusters, encoded(each))
	}
	return out
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked question
		check(json.Unmarshal(lines.Bytes(), &asked))
		line, err := json.Marshal(answer(asked))
		check(err)
		fmt.Println(string(line))
	}
}
