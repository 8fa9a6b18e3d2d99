{{- /* Of what belongs to one control plane: with a revision there may be several in a namespace. */ -}}
{{- define "sallyport.suffix" -}}{{ with .Values.revision }}-{{ . }}{{ end }}{{- end -}}

{{- /* By which proxies and API servers call it, as Istio's. */ -}}
{{- define "sallyport.service" -}}istiod{{ include "sallyport.suffix" . }}{{- end -}}

{{- define "sallyport.name" -}}sallyport-controller{{ include "sallyport.suffix" . }}{{- end -}}

{{- /* The ConfigMap that the class of Gateways refers to. */ -}}
{{- define "sallyport.parameters" -}}sallyport-gateways{{ include "sallyport.suffix" . }}{{- end -}}

{{- /* Of what is not in a namespace. */ -}}
{{- define "sallyport.clusterName" -}}{{ include "sallyport.name" . }}-{{ .Release.Namespace }}{{- end -}}

{{- define "sallyport.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}

{{- define "sallyport.selector" -}}
app: istiod
istio.io/rev: {{ .Values.revision | default "default" | quote }}
{{- end -}}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selector" . }}
app.kubernetes.io/name: sallyport
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* Of the nodes' CNI plugin: there is one, whatever control planes there are. */ -}}
{{- define "sallyport.cniLabels" -}}
app: sallyport-cni
app.kubernetes.io/name: sallyport-cni
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* The profile restricted of Kubernetes' Pod Security Standards. */ -}}
{{- define "sallyport.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* What our webhooks have in common. */ -}}
{{- define "sallyport.webhook" }}
    clientConfig:
      # The controller puts in by which certificate it is known.
      service:
        name: {{ include "sallyport.service" . }}
        namespace: {{ .Release.Namespace }}
        path: /inject
        port: 443
    rules:
      - operations: [CREATE]
        apiGroups: [""]
        apiVersions: [v1]
        resources: [pods]
        scope: Namespaced
    admissionReviewVersions: [v1]
    sideEffects: None
    # What others add to the pod is looked at, too.
    reinvocationPolicy: IfNeeded
    failurePolicy: {{ .Values.injection.failurePolicy }}
    timeoutSeconds: 10
{{- end }}

{{- define "sallyport.hookService" -}}
# The controller puts in by which certificate it is known.
service:
  name: {{ include "sallyport.service" . }}
  namespace: {{ .Release.Namespace }}
  port: 443
{{- end -}}

{{- /* The objects that webhooks judge: of the mesh alone, never Secrets. */ -}}
{{- define "sallyport.meshObjects" }}
    rules:
      - operations: [CREATE, UPDATE, DELETE]
        apiGroups: [networking.istio.io, security.istio.io, telemetry.istio.io, extensions.istio.io, sallyport.dev, gateway.networking.k8s.io]
        apiVersions: ["*"]
        resources: ["*"]
        scope: Namespaced
    admissionReviewVersions: [v1]
    matchPolicy: Equivalent
    sideEffects: None
{{- end }}

{{- /* Kubernetes' own namespaces are left alone whatever their labels say, so that a cluster without a control plane can mend itself. */ -}}
{{- define "sallyport.notSystem" }}
        - { key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease] }
{{- end }}

{{- /* Who may read all objects of a kind in one namespace. */ -}}
{{- define "sallyport.readerIn" }}
{{- $root := index . 0 }}
{{- $name := printf "%s-%s" (include "sallyport.clusterName" $root) (index . 2) }}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "sallyport.labels" $root | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [{{ index . 3 }}]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "sallyport.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "sallyport.name" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
