//! Names of fields that hold no secret, by document.

/// Parameters of DC/OS (`gen/calc.py`, `gen/dcos-config.yaml`, `dcos_installer/config.py`, 1.10 to
/// 2.2) that hold no secret, and those of DC/OS Enterprise that say how it is secured. Those of
/// REX-Ray are no part of it, because they may hold credentials of a cloud.
pub(super) const PARAMETERS: &str = "\
    adminrouter_auth_enabled adminrouter_grpc_proxy_port adminrouter_tls_1_0_enabled \
    adminrouter_tls_1_1_enabled adminrouter_tls_1_2_enabled adminrouter_tls_cipher_override \
    adminrouter_tls_cipher_suite adminrouter_tls_version_override adminrouter_x_frame_options \
    agent_list auth_cookie_secure_flag aws_region aws_stack_id aws_stack_name bootstrap_id \
    bootstrap_tmp_dir bootstrap_url bootstrap_variant bouncer_expiration_auth_token_days \
    ca_certificate_chain_path ca_certificate_path calico_enabled calico_ipinip_mtu \
    calico_network_cidr calico_veth_mtu calico_vxlan_enabled calico_vxlan_mtu calico_vxlan_port \
    calico_vxlan_vni channel_name check_config check_config_contents check_ld_library_path \
    check_search_path check_time cluster_docker_credentials_dcos_owned \
    cluster_docker_credentials_enabled cluster_docker_credentials_path \
    cluster_docker_credentials_write_to_etc cluster_docker_registry_enabled \
    cluster_docker_registry_url cluster_name cluster_package_list_id cluster_packages config_id \
    config_package_ids config_package_names cosmos_package_storage_uri_flag \
    cosmos_staged_package_storage_uri_flag custom_auth custom_checks dcos_cni_data_dir \
    dcos_dns_push_ops_timeout dcos_dns_store_modes dcos_dns_store_modes_term \
    dcos_gen_resolvconf_search_str dcos_image_commit dcos_l4lb_enable_ipset dcos_l4lb_enable_ipv6 \
    dcos_l4lb_forward_metrics dcos_l4lb_max_named_ip dcos_l4lb_max_named_ip6 \
    dcos_l4lb_max_named_ip6_erltuple dcos_l4lb_max_named_ip_erltuple dcos_l4lb_min_named_ip \
    dcos_l4lb_min_named_ip6 dcos_l4lb_min_named_ip6_erltuple dcos_l4lb_min_named_ip_erltuple \
    dcos_net_cluster_identity dcos_net_push_ops_timeout dcos_net_rest_enable dcos_net_watchdog \
    dcos_overlay_config_attempts dcos_overlay_enable dcos_overlay_mtu dcos_overlay_network \
    dcos_overlay_network6_default_name dcos_overlay_network_default_name dcos_overlay_network_json \
    dcos_remove_dockercfg_enable dcos_ucr_default_bridge_network_name \
    dcos_ucr_default_bridge_subnet dcos_variant dcos_version diagnostics_bundles_dir \
    dns_bind_ip_blacklist dns_bind_ip_blacklist_json dns_bind_ip_reserved dns_forward_zones \
    dns_search docker_remove_delay docker_stop_timeout enable_docker_gc enable_gpu_isolation \
    enable_ipv6 enable_lb enable_mesos_input_plugin enable_mesos_ipv6_discovery exhibitor_address \
    exhibitor_admin_password_enabled exhibitor_azure_account_name exhibitor_azure_prefix \
    exhibitor_bootstrap_ca_url exhibitor_explicit_keys exhibitor_fs_config_dir exhibitor_port \
    exhibitor_static_ensemble exhibitor_storage_backend exhibitor_tls_enabled \
    exhibitor_tls_required exhibitor_zk_hosts exhibitor_zk_path \
    fair_sharing_excluded_resource_names fault_domain_detect_contents fault_domain_detect_filename \
    fault_domain_enabled gc_delay gpus_are_scarce has_marathon_gpu_scheduling_behavior \
    has_marathon_new_group_enforce_role has_master_external_loadbalancer \
    has_mesos_default_container_shm_size has_mesos_max_completed_tasks_per_framework \
    has_mesos_seccomp_profile_name has_metronome_gpu_scheduling_behavior http_proxy https_proxy \
    intercom_enabled ip6_detect_contents ip6_detect_filename ip_detect_contents ip_detect_filename \
    ip_detect_public_contents ip_detect_public_filename licensing_enabled log_offers \
    marathon_gpu_scheduling_behavior marathon_java_args marathon_new_group_enforce_role \
    marathon_port master_discovery master_dns_bindall master_external_loadbalancer \
    master_http_loadbalancer master_list master_quorum mesos_agent_log_file mesos_agent_port \
    mesos_agent_work_dir mesos_cgroups_enable_cfs mesos_cni_root_dir_persist \
    mesos_container_log_sink mesos_default_container_shm_size \
    mesos_disallow_sharing_agent_ipc_namespace mesos_dns_ip_sources mesos_dns_port \
    mesos_dns_resolvers_str mesos_dns_set_truncate_bit mesos_docker_volume_chown mesos_hooks \
    mesos_http_executor_domain_sockets mesos_isolation mesos_log_directory_max_files \
    mesos_log_retention_count mesos_log_retention_mb mesos_logrotate_file_size_mb \
    mesos_master_log_file mesos_master_port mesos_master_work_dir mesos_max_completed_frameworks \
    mesos_max_completed_tasks_per_framework mesos_recovery_timeout mesos_seccomp_enabled \
    mesos_seccomp_profile_name metronome_gpu_scheduling_behavior metronome_port \
    minuteman_forward_metrics minuteman_max_named_ip minuteman_max_named_ip_erltuple \
    minuteman_min_named_ip minuteman_min_named_ip_erltuple no_proxy no_proxy_final num_masters \
    oauth_auth_host oauth_auth_redirector oauth_available oauth_enabled oauth_issuer_url os_type \
    overlay_network_default_name package_ids platform process_timeout profile_symlink_source \
    profile_symlink_target profile_symlink_target_dir public_agent_list resolvers resolvers_str \
    rexray_config_preset s3_bucket s3_prefix security sources_id ssh_port ssh_user ssl_enabled \
    superuser_username telemetry_enabled ui_banner ui_banner_background_color \
    ui_banner_dismissible ui_banner_footer_content ui_banner_foreground_color \
    ui_banner_header_content ui_banner_header_title ui_banner_image_path ui_branding \
    ui_external_links ui_networking ui_organization ui_telemetry_metadata ui_tracking \
    ui_update_enabled use_mesos_hooks use_proxy weights zk_client_port";

/// `daemon.json` (`dockerd(8)`), without options of log drivers that go to other machines.
pub(super) const DOCKER: &str = "\
    allow-nondistributable-artifacts api-cors-header authorization-plugins bip bridge builder gc \
    enabled defaultKeepStorage policy keepStorage cgroup-parent containerd containerd-namespace \
    containerd-plugins-namespace cri-containerd data-root debug default-address-pools base size \
    default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode default-runtime \
    default-shm-size default-ulimits nofile nproc memlock core Hard Soft Name dns dns-opts \
    dns-search exec-opts exec-root experimental features buildkit containerd-snapshotter \
    fixed-cidr fixed-cidr-v6 graph group host-gateway-ip hosts icc init init-path \
    insecure-registries ip ip-forward ip-masq iptables ip6tables ipv6 labels live-restore \
    log-driver log-format log-level log-opts max-size max-file compress mode max-buffer-size \
    max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr mtu \
    no-new-privileges node-generic-resources oom-score-adjust pidfile proxies http-proxy \
    https-proxy no-proxy raw-logs registry-mirrors runtimes path runtimeArgs runtimeType \
    seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opts \
    swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify userland-proxy \
    userland-proxy-path userns-remap";

/// Checks of DC/OS and their runner.
pub(super) const CHECKS: &str = "\
    check_env PATH LD_LIBRARY_PATH check-config node_checks cluster_checks checks prestart \
    poststart description cmd timeout roles role systemd-socket base-uri";

/// `dcos-diagnostics-config.json`.
pub(super) const DIAGNOSTICS: &str = "\
    role pull diagnostics-bundle-dir endpoint-config no-unix-socket fetchers-count agent-port \
    master-port port force-tls ca-cert pull-interval pull-timeout health-update-interval \
    command-exec-timeout verbose";

/// `dcos-version.json`.
pub(super) const VERSION: &str = "\
    version dcos-image-commit bootstrap-id dcos-variant";

/// `mesos-dns.json`.
pub(super) const MESOS_DNS: &str = "\
    zk masters refreshSeconds ttl domain port resolvers timeout httpon dnson httpport externalon \
    listener SOAMname SOARname SOARefresh SOARetry SOAExpire SOAMinttl email recurseon \
    enforceRFC952 IPSources SetTruncateBit EnumerationOn exchangeTimeout stateTimeoutSeconds \
    zkDetectionTimeout";

/// `mesos-executor-environment.json`.
pub(super) const EXECUTOR: &str = "\
    PATH SHELL LD_LIBRARY_PATH SASL_PATH LIBPROCESS_NUM_WORKER_THREADS";

/// `ui-config.json`.
pub(super) const UI: &str = "\
    uiConfiguration clusterConfiguration mesos-authentication-enabled plugins banner enabled \
    backgroundColor foregroundColor headerTitle headerContent footerContent imagePath dismissible \
    branding external-links authentication oauth authHost intercom appId tracking metadata \
    openBuild ui-update mesos logging-strategy networking organization";
