{{- define "whimbrel.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: migrations
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What selects the Job's pods and nothing else. */}}
{{- define "whimbrel.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: migrations
{{- end }}

{{/* registry/repository@digest, or with the tag where there is no digest. */}}
{{- define "whimbrel.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else if .Values.image.tag -}}
{{ $name }}:{{ .Values.image.tag }}
{{- else -}}
{{ fail "image.digest (or image.tag) is not set: which image holds the scripts?" }}
{{- end -}}
{{- end }}

{{/* The names of the enabled databases, as a JSON list in the order of their names. */}}
{{- define "whimbrel.enabledDatabases" -}}
{{- $enabled := list -}}
{{- range $name, $database := .Values.databases -}}
{{- if ne (toString (dig "enabled" true $database)) "false" -}}
{{- $enabled = append $enabled $name -}}
{{- end -}}
{{- end -}}
{{ $enabled | toJson }}
{{- end }}

{{/* A name as part of a variable: upper case, everything but letters and digits becomes "_". */}}
{{- define "whimbrel.variable" -}}
{{ regexReplaceAll "[^A-Z0-9]" (upper .) "_" }}
{{- end }}

{{- define "whimbrel.runnerDeadline" -}}
{{- $job := int .Values.job.activeDeadlineSeconds -}}
{{- $runner := sub $job 30 -}}
{{- if not (kindIs "invalid" .Values.migrations.deadlineSeconds) -}}
{{- $runner = int .Values.migrations.deadlineSeconds -}}
{{- end -}}
{{- if ge (int $runner) $job -}}
{{ fail (printf "migrations.deadlineSeconds (%d) must be less than job.activeDeadlineSeconds (%d): the runner is to end by itself, with a record" (int $runner) $job) }}
{{- end -}}
{{ $runner }}
{{- end }}

{{/* One variable from one key of one Secret. */}}
{{- define "whimbrel.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{/* The variables of one database: (secret, key) -> AGENTS_RUNTIME_DATABASE_URL and so on. */}}
{{- define "whimbrel.databaseVariables" -}}
{{- $prefix := printf "%s_DATABASE" (include "whimbrel.variable" .name) -}}
{{- $keys := .database.keys -}}
{{- if not (or $keys.url $keys.jdbc (and $keys.host $keys.name)) -}}
{{ fail (printf "databases.%s.keys needs url, jdbc, or host and name" .name) }}
{{- end -}}
{{- $url := $keys.url | default $keys.jdbc -}}
{{- $parts := dict "URL" $url "HOST" $keys.host "PORT" $keys.port "NAME" $keys.name "USER" $keys.user "PASSWORD" $keys.password -}}
{{- $secret := .database.secret -}}
{{- range $part, $key := $parts -}}
{{- if $key }}
{{ include "whimbrel.secretVariable" (dict "name" (printf "%s_%s" $prefix $part) "secret" $secret "key" $key) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A plain variable from extraEnv; refused where it looks like a secret. */}}
{{- define "whimbrel.refusePlainSecrets" -}}
{{- range .Values.extraEnv -}}
{{- if and (hasKey . "value") (regexMatch "(?i)(PASSWORD|PASSWD|TOKEN|SECRET|_URL$|_URI$)" .name) -}}
{{ fail (printf "extraEnv %s looks like a secret: give it by valueFrom.secretKeyRef" .name) }}
{{- end -}}
{{- end -}}
{{- end }}
