#!/bin/bash
# node.sh up | down | status | run COMMAND…: one real Kubernetes node
#
# It lives in namespaces of its own (network, mounts, processes, host name, IPC), which one process holds:
# when that one is killed, all of the node goes with it. Nothing in there reaches anything but the bridge's
# address on the host: the default route, which service addresses need, ends in a pair of interfaces that leads nowhere.
#
#   host 10.201.0.1 on bridge wb0   node 10.201.0.2   pods 10.202.0.0/16   services 10.96.0.0/16
#
# Needs root, the packages of packages.sh, kubernetes and coredns of programs.sh, and the registry of servers.sh.
set -euo pipefail
# shellcheck source=tests/testbed/lib.sh
. "$(dirname "$0")/lib.sh"

name=whimbrel-node
pki=$state/pki
node=$state/node

inside() { nsenter --target "$(cat "$state/holder")" --mount --net --pid --uts --ipc -- "$@"; }
service() { # NAME COMMAND…: runs inside, until the node goes
  local of=$1
  shift
  mkdir -p "$state/logs"
  setsid nsenter --target "$(cat "$state/holder")" --mount --net --pid --uts --ipc -- "$@" >>"$state/logs/$of.log" 2>&1 </dev/null 8>&- &
}
is_up() { [ -s "$state/holder" ] && kill -0 "$(cat "$state/holder")" 2>/dev/null; }
kubectl() { "$components/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# Keys and certificates ------------------------------------------------------------------------------------------

elliptic=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

certificate() { # FILE SUBJECT USAGE [NAMES]
  openssl req "${elliptic[@]}" -keyout "$pki/$1.key" -subj "$2" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=%s\n%s\n' "$3" "${4:+subjectAltName=$4}") 2>/dev/null
}

# The cluster is named as k3d would: Tilt tells a local cluster by that prefix.
client() { # FILE SUBJECT: a certificate, and a kubeconfig that holds it
  certificate "$1" "$2" clientAuth
  cat >"$state/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: k3d-whimbrel
clusters: [{name: k3d-whimbrel, cluster: {server: "https://$node_address:6443", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}}]
contexts: [{name: k3d-whimbrel, context: {cluster: k3d-whimbrel, user: $1}}]
YAML
}

identities() {
  [ -f "$pki/complete" ] && return
  mkdir -p "$pki"
  openssl req -x509 "${elliptic[@]}" -keyout "$pki/ca.key" -days 3650 -subj /CN=whimbrel-testbed -addext keyUsage=critical,keyCertSign,cRLSign -out "$pki/ca.crt" 2>/dev/null
  local names=DNS:localhost,IP:127.0.0.1,IP:$node_address,IP:10.96.0.1 suffix
  for suffix in '' .default .default.svc .default.svc.cluster.local; do names+=,DNS:kubernetes$suffix; done
  certificate apiserver /CN=kube-apiserver serverAuth "$names"
  certificate kubelet-server "/CN=$name" serverAuth "DNS:$name,IP:127.0.0.1,IP:$node_address"
  certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  client admin /O=system:masters/CN=admin
  client controller-manager /CN=system:kube-controller-manager
  client scheduler /CN=system:kube-scheduler
  client proxy /CN=system:kube-proxy
  client kubelet "/O=system:nodes/CN=system:node:$name"
  openssl genrsa -out "$pki/service-accounts.key" 2048 2>/dev/null
  openssl rsa -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null
  touch "$pki/complete"
}

# Configuration of the services ----------------------------------------------------------------------------------

configure_containerd() {
  cat >"$node/containerd.toml" <<TOML
version = 2
root = "$node/containerd"
state = "$node/run/containerd"
# What this machine's kernel may not have, and nothing here uses.
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "$node/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$node/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$registry_pull/testbed/pause:1"
# Root without CAP_SYS_RESOURCE cannot lower an OOM score: without this no sandbox starts.
restrict_oom_score_adj = true
cni = { bin_dir = "/usr/lib/cni", conf_dir = "$node/cni" }
registry = { config_path = "$node/registries" }
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options = { SystemdCgroup = false, BinaryName = "$(PATH=$PATH:/usr/sbin command -v runc)" }
TOML
  mkdir -p "$node/registries/$registry_pull"
  cat >"$node/registries/$registry_pull/hosts.toml" <<TOML
server = "http://$host_address:5000"
[host."http://$host_address:5000"]
capabilities = ["pull", "resolve"]
TOML
  cat >"$node/cni/10-pods.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {
    "type": "host-local", "dataDir": "$node/run/addresses",
    "ranges": [[{"subnet": "10.202.0.0/16", "gateway": "10.202.0.1"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}},
  {"type": "firewall"}]}
JSON
}

configure_kubelet() {
  cat >"$node/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
containerRuntimeEndpoint: unix://$node/run/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /whimbrel
enforceNodeAllocatable: [pods]
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
resolvConf: ""
podLogsDir: $node/pod-logs
serializeImagePulls: false
# A disk that is nearly full is no reason to fail a test.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 500Mi}
YAML
}

# Namespaces, network, control groups -----------------------------------------------------------------------------

control_groups() {
  local group one
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/whimbrel
    sed 's/[a-z_]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
    mkdir -p $group
    return
  fi
  for group in /sys/fs/cgroup/*/; do mkdir -p "$group/whimbrel"; done
  for one in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$one" >"/sys/fs/cgroup/cpuset/whimbrel/$one"; done
}

remove_control_groups() {
  local group
  for group in /sys/fs/cgroup/whimbrel /sys/fs/cgroup/*/whimbrel; do
    [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done
}

namespaces() {
  local parent
  unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc --propagation private \
    sh -c "hostname $name; exec sleep infinity" >/dev/null 2>&1 </dev/null 8>&- &
  parent=$!
  until pgrep -P $parent >"$state/holder"; do sleep 0.02; done
  until [ "$(inside hostname 2>/dev/null)" = $name ]; do sleep 0.02; done
  ip link add wv0 type veth peer name eth0 netns "$(cat "$state/holder")"
  ip link set wv0 master wb0 up
  printf '127.0.0.1 localhost\n%s %s\n' $node_address $name >"$node/hosts"
  inside sh -e <<SCRIPT
ip link set lo up
ip addr add $node_address/24 dev eth0
ip link set eth0 up
ip link add nowhere0 type veth peer name nowhere1
ip link set nowhere0 up
ip link set nowhere1 up
ip route add default dev nowhere0
sysctl -qw net.ipv4.ip_forward=1
mount --make-rshared /
mount --bind $node/hosts /etc/hosts
# etcd waits for every write to reach the disk, and the disk may be busy with a build.
mount -t tmpfs tmpfs $node/etcd
SCRIPT
}

# Start and stop --------------------------------------------------------------------------------------------------

control_plane() {
  service etcd etcd --name testbed --data-dir "$node/etcd/data" --unsafe-no-fsync --log-level error
  service containerd containerd --config "$node/containerd.toml"
  until_answers 120 etcd inside curl -sf http://127.0.0.1:2379/health
  service apiserver "$components/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --advertise-address=$node_address --service-cluster-ip-range=10.96.0.0/16 --endpoint-reconciler-type=lease \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-client-certificate="$pki/apiserver-to-kubelet.crt" --kubelet-client-key="$pki/apiserver-to-kubelet.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/service-accounts.pub" \
    --service-account-signing-key-file="$pki/service-accounts.key"
  # The controller manager gives up when the bootstrap roles are not there yet.
  until_answers 180 'the API server' kubectl get --raw /readyz
  # Without these limits the first service account takes nine seconds, and no pod is admitted before it.
  service controller-manager "$components/kube-controller-manager" --leader-elect=false --kube-api-qps=200 --kube-api-burst=400 \
    --kubeconfig="$state/controller-manager.kubeconfig" --authentication-kubeconfig="$state/controller-manager.kubeconfig" \
    --authorization-kubeconfig="$state/controller-manager.kubeconfig" --use-service-account-credentials=true \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt"
  service scheduler "$components/kube-scheduler" --leader-elect=false --kubeconfig="$state/scheduler.kubeconfig" \
    --authentication-kubeconfig="$state/scheduler.kubeconfig" --authorization-kubeconfig="$state/scheduler.kubeconfig"
}

workers() {
  service kubelet "$components/kubelet" --config="$node/kubelet.yaml" --kubeconfig="$state/kubelet.kubeconfig" \
    --root-dir="$node/kubelet" --hostname-override=$name --node-ip=$node_address
  service proxy "$components/kube-proxy" --kubeconfig="$state/proxy.kubeconfig" --proxy-mode=iptables --cluster-cidr=10.202.0.0/16 \
    --hostname-override=$name --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
  printf '.:53 {\n  errors\n  kubernetes cluster.local in-addr.arpa {\n    kubeconfig %s k3d-whimbrel\n  }\n  cache 5\n}\n' "$kubeconfig" >"$node/Corefile"
  service dns "$("$testbed/programs.sh" --path coredns)" -conf "$node/Corefile"
}

# A Service without a selector and its endpoint: a name in the cluster for what runs outside of its pods.
outside_service() { # NAMESPACE NAME CLUSTER_IP ADDRESS NAMED_PORTS ENDPOINT_PORTS
  cat <<YAML
---
apiVersion: v1
kind: Service
metadata: {name: $2, namespace: $1}
spec: {clusterIP: $3, ports: $5}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $2, namespace: $1, labels: {kubernetes.io/service-name: $2}}
addressType: IPv4
endpoints: [{addresses: [$4]}]
ports: $6
YAML
}

furnish() {
  {
    outside_service kube-system kube-dns 10.96.0.10 $node_address \
      '[{name: dns, port: 53, protocol: UDP}, {name: tcp, port: 53}]' '[{name: dns, port: 53, protocol: UDP}, {name: tcp, port: 53}]'
    printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: data}\n'
    outside_service data postgres 10.96.0.11 $host_address "[{name: postgres, port: 5432, targetPort: $postgres_port}]" "[{name: postgres, port: $postgres_port}]"
    # Where images are pushed and pulled, as local clusters tell it.
    cat <<YAML
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data:
  localRegistryHosting.v1: |
    host: "$registry_push"
    hostFromContainerRuntime: "$registry_pull"
    hostFromClusterNetwork: "$registry_pull"
YAML
  } | kubectl apply -f - >/dev/null
}

up() {
  [ "$(id -u)" = 0 ] || unusable 'the node needs root'
  if is_up; then return; fi
  down
  "$testbed/images.sh" pause
  mkdir -p "$node"/{cni,etcd,run,pod-logs}
  identities
  configure_containerd
  configure_kubelet
  control_groups
  namespaces
  local kernel
  kernel=$(sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops | tr -d ' ')
  control_plane
  workers
  until_answers 180 'the node (Ready)' kubectl wait --for=condition=Ready "node/$name" --timeout=1s
  until_answers 120 'the default service account' kubectl get serviceaccount/default configmap/kube-root-ca.crt
  furnish
  # The kubelet sets these for the whole machine as it starts; they were somebody else's.
  # shellcheck disable=SC2086
  sysctl -qw $kernel
}

down() {
  if [ -s "$state/holder" ]; then kill -9 "$(cat "$state/holder")" 2>/dev/null || true; fi
  ip link del wv0 2>/dev/null || true
  local _
  for _ in $(seq 40); do is_up || break; sleep 0.05; done
  sleep 0.3
  remove_control_groups
  rm -rf "$state/holder" "$node"
}

components=$(dirname "$("$testbed/programs.sh" --path kubernetes)")
case ${1:-} in
  up) up ;;
  down) down ;;
  status) if is_up; then echo 'node: up'; else echo 'node: down'; fi ;;
  run) inside "${@:2}" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
