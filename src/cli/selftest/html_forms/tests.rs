use super::forms;

#[test]
fn fields_are_read_however_they_are_written() {
    let page = r#"<!doctype html><!-- <form><input name=no> -->
        <script>if (a<b) document.write("<form><input name=no>")</script>
        <FORM Method=POST action='/login?a=1&amp;b=2'>
        <input type=hidden name=csrf value="a&quot;&#x3c;&#60;&unknown;">
        <input name="user" /><INPUT TYPE="PassWord" NAME=pw required>
        <input type=checkbox name=remember checked><input type=checkbox name=other>
        <button name=go value=1>Sign <b>in</b></button></FORM>"#;
    let found = forms(page);
    let form = &found[0];
    assert_eq!((found.len(), form.post, &*form.action), (1, true, "/login?a=1&b=2"));
    let sent: Vec<(&str, &str)> =
        form.controls.iter().filter(|it| it.is_sent()).map(|it| (&*it.name, &*it.value)).collect();
    let hidden = ("csrf", "a\"<<&unknown;");
    assert_eq!(sent, [hidden, ("user", ""), ("pw", ""), ("remember", "on")]);
    assert_eq!(form.password().map(|it| &*it.name), Some("pw"));
    assert_eq!(form.username().map(|it| &*it.name), Some("user"));
}

#[test]
fn the_button_that_agrees_is_found_beside_the_one_that_does_not() {
    for (buttons, agreeing) in [
        (
            "<button name=d value=no id=consent-deny>No<button id=consent-accept name=d value=yes>Yes",
            "yes",
        ),
        ("<button name=d value=0>Cancel</button><button name=d value=1>Allow access</button>", "1"),
        ("<input type=submit name=d value=Deny><input type=submit name=d value=Weiter>", "Weiter"),
        (
            "<button type=button name=d value=js></button><button name=d value=plain></button>",
            "plain",
        ),
    ] {
        let found = forms(&format!("<form method=post>{buttons}</form>"));
        let button = found[0].agreement().map(|it| it.value.clone());
        assert_eq!(button.as_deref(), Some(agreeing), "{buttons}");
    }
}

#[test]
fn no_page_is_too_broken_to_be_looked_at() {
    for page in [
        "<",
        "<form",
        "<form ",
        "<form a",
        "<form a=",
        "<form a=\"",
        "<form a='é",
        "<=<>/",
        "</",
        "<!--",
        "<script>",
        "<style></styl",
        "<form><input ===><input =x=y>",
        "&#xffffffff;&#;&",
        "<é a=ü>",
        "<form action=&#99999999999;><input value=\"&#xd800;\">",
        "<button",
        "<form></form></form>",
    ] {
        let found = forms(page);
        assert!(found.len() <= 1, "{page}: {found:?}");
    }
}
