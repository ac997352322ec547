//! Calls the API of Hex with the library that Gleam's compiler calls it with.
use std::{env, fs, process::exit};

fn need(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let key = need("HEXPM_API_KEY");
    let mut config = hexpm::Config::new();
    config.api_base = need("HEX_API_URL").parse().expect("HEX_API_URL");
    let file = |path: &str| fs::read(path).expect(path);
    let valid = "a name and a version of Hex";
    let (request, read): (http::Request<Vec<u8>>, fn(http::Response<Vec<u8>>) -> Result<(), hexpm::ApiError>) = match words[..] {
        ["publish", path] => (hexpm::api_publish_package_request(file(path), &key, &config, false), hexpm::api_publish_package_response),
        ["replace", path] => (hexpm::api_publish_package_request(file(path), &key, &config, true), hexpm::api_publish_package_response),
        ["docs", name, version, path] => (
            hexpm::api_publish_docs_request(name, version, file(path), &key, &config).expect(valid),
            hexpm::api_publish_docs_response,
        ),
        ["retire", name, version] => (
            hexpm::api_retire_release_request(name, version, hexpm::RetirementReason::Security, Some("use another"), &key, &config),
            hexpm::api_retire_release_response,
        ),
        ["unretire", name, version] => (hexpm::api_unretire_release_request(name, version, &key, &config), hexpm::api_unretire_release_response),
        ["revert", name, version] => (hexpm::api_revert_release_request(name, version, &key, &config).expect(valid), hexpm::api_revert_release_response),
        _ => panic!("unknown call {words:?}"),
    };
    let pem = file(&need("SSL_CERT_FILE"));
    let root = ureq::tls::Certificate::from_pem(&pem).expect("SSL_CERT_FILE");
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&[root])).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).tls_config(tls).build().into();
    let (parts, mut body) = agent.run(request).expect("the call").into_parts();
    let response = http::Response::from_parts(parts, body.read_to_vec().expect("the answer"));
    println!("{}", response.status());
    if let Err(error) = read(response) {
        println!("{error}");
        exit(1);
    }
}
