//! Origins, and passwords as they are typed.

use super::*;

#[test]
fn an_origin_is_what_browsers_send_and_nothing_that_could_never_match() {
    for good in [
        "https://app.example",
        "http://localhost:3000",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "http://tauri.localhost",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "app://obsidian.md",
        "my-app://localhost:8100",
    ] {
        assert_eq!(read(&[("CORS_ORIGINS", good)]).cors.origins, [good]);
    }
    for bad in [
        "null",
        "app.example",
        "https://app.example/",
        "https://app.example:443",
        "https://App.example",
        "https://ada@app.example",
        "capacitor://localhost/",
        "capacitor://Localhost",
        "Capacitor://localhost",
        "capacitor://",
        "capacitor:localhost",
        "file://",
        "data:text/html,x",
        "ftp://app.example",
    ] {
        let found = complaints(&[("CORS_ORIGINS", bad)]);
        assert!(found[0].starts_with("CORS_ORIGINS must be"), "{bad} {found:?}");
    }
    for pattern in
        ["*", "https://*.app.example", "https://app.example,https://*", "http://localhost:*"]
    {
        let found = complaints(&[("CORS_ORIGINS", pattern)]);
        let said = "CORS_ORIGINS must name every origin in full: there is no pattern";
        assert!(found.len() == 1 && found[0].starts_with(said), "{pattern} {found:?}");
    }
}

#[test]
fn a_password_keeps_its_spaces_and_a_key_does_not_have_any() {
    let dev = |value| read(&[("DEV_PASSWORD", value)]).dev_account.and_then(|it| it.password);
    assert_eq!(dev("  two words ").unwrap().reveal(), "  two words ");
    assert!(dev("  ").is_none(), "nothing but spaces is how a Compose file says nothing");
    let key = format!(" {KEY}\n");
    assert_eq!(read(&[("SECRET_KEY", &key)]).secret_key.unwrap().reveal(), KEY);
}
