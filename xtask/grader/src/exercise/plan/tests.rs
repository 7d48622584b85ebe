use super::names::EntryFlag;
use super::*;

const ONE: &str = "passed = 'Good.'\n[[run]]\ndraw.tag = { tags = 1 }\nargs = ['{tag}']\n";

#[track_caller]
fn fails(more: &str) -> String {
    let error = Plan::parse(&format!("{ONE}{more}")).expect_err("an error");
    format!("{error:#}")
}

#[test]
fn a_plan_is_the_same_after_it_was_sent() {
    let text = format!(
        "{ONE}[[run.entries]]\nop = ['READ', 'READV']\ndetails = {{ offset = 7 }}\n\
         result = 'ETIME'\nflags = ['IOSQE_ASYNC']\n"
    );
    let plan = Plan::parse(&text).expect("a plan");
    assert_eq!(plan.runs[0].entries[0].flags, [EntryFlag("ASYNC".to_string())]);
    let sent = serde_json::to_string(&plan).expect("JSON");
    let received: Plan = serde_json::from_str(&sent).expect("a plan");
    assert_eq!(format!("{received:?}"), format!("{plan:?}"));
}

#[test]
fn a_mistake_is_named_with_its_line_and_what_may_stand_there() {
    let words = fails("argss = ['x']\n");
    assert!(words.contains("line 5") && words.contains("`args`"), "{words}");
    assert!(words.contains("the page Writing an exercise"), "{words}");
    let words = fails("[[run.entries]]\nop = 'RAED'\n");
    assert!(
        words.contains("line 6") && words.contains("`RAED` is not a known operation"),
        "{words}"
    );
    assert!(words.contains("did you mean READ?"), "{words}");
    let words = fails("[[run.entries]]\nop = 'NOP'\nresult = \"ECANCELLED\"\n");
    assert!(
        words.contains("line 7: `result`: `ECANCELLED` is neither a number nor an error"),
        "{words}"
    );
    assert!(words.contains("did you mean ECANCELED?"), "{words}");
    let words = fails("[[run.entries]]\nop = 'NOP'\nflags = ['IO_LNK']\n");
    assert!(words.contains("did you mean IO_LINK"), "{words}");
    let words = fails("[[run.entries]]\nop = 'RECV_MULTI'\n");
    assert!(words.contains("did you mean RECV?"), "{words}");
    let words = fails("[[run.entries]]\nop = 'NOP'\nflags = ['LINK']\n");
    assert!(words.contains("did you mean IO_LINK"), "{words}");
    let words = fails("[[run.entries]]\nop = 'NOP'\nresult = 1.5\n");
    assert!(words.contains("expected a number, or a text in quotes"), "{words}");
    let words = fails("stdin = '{tga}'\n");
    assert!(
        words.starts_with("line 5: there is no value or file called tga; this run has tag"),
        "{words}"
    );
    let words = fails("draw.count = { number = [9, 1] }\n");
    assert!(words.contains("line 5: [9, 1] holds no number"), "{words}");
    let words = fails("draw.count = { nunber = [1, 9] }\n");
    assert!(words.contains("`number`, `tags`, `word`, `text`"), "{words}");
}

#[test]
fn what_cannot_be_checked_is_refused() {
    for (more, words) in [
        ("times = 0\n", "checks nothing"),
        ("times = 50\n", "at most 20"),
        ("[run.output]\n", "write `exactly`, `lines` or `contains`"),
        ("[run.output]\nlines = ['x']\nthrough_ring = true\n", "needs `exactly`"),
        ("stdout = '/dev/full'\n[run.output]\nexactly = 'x'\n", "cannot be compared"),
        ("[[run.entries]]\nop = 'NOP'\ncount = 1\nat_most = 2\n", "`count` is exact"),
        (
            "draw.it = { word = [3, 3] }\n[[run.entries]]\nop = 'NOP'\nuser_data = '{it}'\n",
            "is a number",
        ),
        ("draw.it = { word = [3, 3] }\nfiles.it.before = 'x'\n", "are both called it"),
    ] {
        let told = fails(more);
        assert!(told.contains(words), "{more}: {told}");
    }
    let told = Plan::parse("passed = '{tag}'\n[[run]]\n").expect_err("no tag").to_string();
    assert!(told.contains("no run has a value that is called tag"), "{told}");
    assert!(Plan::parse("passed = ''\nrun = []\n").is_err());
}
