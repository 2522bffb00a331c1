//! Link flags of a Node addon. Among them `-z nodelete`: worker threads must never unload the image.
fn main() {
    napi_build::setup();
}
