{{/* The pod of the Job; also what the name of a plain Job and the tracked ConfigMap are digests of. */}}
{{- define "whimbrel.podTemplate" -}}
{{- include "whimbrel.refusePlainSecrets" . -}}
{{- $enabled := include "whimbrel.enabledDatabases" . | fromJsonArray -}}
{{- if not $enabled -}}
{{ fail "no database is enabled: set databases.<name>.enabled, or migrations.enabled=false" }}
{{- end -}}
metadata:
  labels:
    {{- include "whimbrel.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: migrate
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  # Variables of services named like a database would shadow ours.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int .Values.job.terminationGracePeriodSeconds }}
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: migrate
      image: {{ include "whimbrel.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- toYaml .Values.migrations.args | nindent 8 }}
      terminationMessagePath: /dev/termination-log
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      env:
        - name: WHIMBREL_DATABASES
          value: {{ join "," $enabled | quote }}
        - name: WHIMBREL_DEADLINE
          value: {{ printf "%ss" (include "whimbrel.runnerDeadline" .) | quote }}
        - name: WHIMBREL_FORMAT
          value: {{ .Values.migrations.logFormat }}
        - name: WHIMBREL_GRACE
          value: {{ printf "%ds" (int .Values.job.terminationGracePeriodSeconds) | quote }}
        {{- with .Values.image.digest }}
        - name: WHIMBREL_IMAGE_DIGEST
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.migrations.keepGoing }}
        - name: WHIMBREL_KEEP_GOING
          value: "true"
        {{- end }}
        - name: WHIMBREL_TERMINATION_LOG
          value: /dev/termination-log
        - name: WHIMBREL_WAIT
          value: {{ printf "%ds" (int .Values.migrations.waitSeconds) | quote }}
        - name: WHIMBREL_PLACEHOLDER_SEED_DEMO_DATA
          value: {{ .Values.migrations.seedDemoData | quote }}
        {{- range $name, $value := .Values.migrations.placeholders }}
        - name: WHIMBREL_PLACEHOLDER_{{ include "whimbrel.variable" $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- range $name := $enabled }}
        {{- include "whimbrel.databaseVariables" (dict "name" $name "database" (index $.Values.databases $name)) | trim | nindent 8 }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A plain Job cannot be changed: another pod is another Job. */}}
{{- define "whimbrel.jobName" -}}
{{- if eq .Values.mode "job" -}}
{{ .Values.job.name }}-{{ include "whimbrel.podTemplate" . | sha256sum | trunc 10 }}
{{- else -}}
{{ .Values.job.name }}
{{- end -}}
{{- end }}
