//! A certificate authority and a certificate for 127.0.0.1, made by the command line tool of OpenSSL.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::ServerError;

const NEW_KEY: [&str; 6] = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const EXTENSIONS: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n";

/// The files in a folder.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Makes the files; the certificate is valid for a month.
pub(super) fn make(folder: &Path) -> Result<Files, ServerError> {
    let authority = ["-x509", "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=Authority of a test"];
    openssl(folder, &[NEW_KEY.as_slice(), &authority].concat())?;
    let request = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"];
    openssl(folder, &[NEW_KEY.as_slice(), &request].concat())?;
    std::fs::write(folder.join("server.ext"), EXTENSIONS).map_err(ServerError::io("writing server.ext"))?;
    let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    let signed = ["-out", "server.crt", "-days", "30", "-extfile", "server.ext"];
    openssl(folder, &[sign.as_slice(), &signed].concat())?;
    Ok(Files {
        authority: folder.join("ca.crt"),
        certificate: folder.join("server.crt"),
        key: folder.join("server.key"),
    })
}

fn openssl(folder: &Path, args: &[&str]) -> Result<(), ServerError> {
    let output = match Command::new("openssl").args(args).current_dir(folder).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ServerError::NotInstalled { program: "openssl", install: "install the package `openssl`" });
        }
        Err(error) => return Err(ServerError::io("running openssl")(error)),
    };
    if output.status.success() {
        return Ok(());
    }
    Err(ServerError::Tool { tool: "openssl", said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
