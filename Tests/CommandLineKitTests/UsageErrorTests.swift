import CommandLineKit
import Testing

/// What is said about a line that is wrong.
struct UsageErrorTests {
    @Test(arguments: [
        ("", "no command; the commands are compress, stats merge, show"),
        ("--quiet", "no command; the commands are compress, stats merge, show"),
        ("compres", "unknown command 'compres'; did you mean 'compress'?"),
        ("frobnicate --help", "unknown command 'frobnicate'; the commands are compress, stats merge, show"),
        ("stats", "'stats' alone is no command; the commands are stats merge"),
        ("stats --quiet --bogus", "'stats' alone is no command; the commands are stats merge"),
        ("stats mrege a", "unknown command 'stats mrege'; did you mean 'stats merge'?"),
        ("stats frobnicate --help", "unknown command 'stats frobnicate'; the commands are stats merge"),
        ("stat", "unknown command 'stat'; did you mean 'stats'?"),
        ("stast merg a", "unknown command 'stast merg'; did you mean 'stats merge'?"),
        ("stast x", "unknown command 'stast'; did you mean 'stats'?"),
        ("compress m -o o --kepe 1", "unknown option --kepe; did you mean --keep?"),
        ("compress m -o o --target-par 1", "unknown option --target-par; did you mean --target-params?"),
        ("compress m -o o --frobnicate", "unknown option --frobnicate"),
        ("compress m -o o --secre", "unknown option --secre"),
        ("compress m -o o -x", "unknown option -x"),
        ("compress m -o o -qx", "unknown option -x"),
        ("compress m -o o -q=x", "-q takes no value, found 'x'"),
        ("compress m -o o --ratio 2", "unknown option --ratio; here it is --keep F"),
        ("compress m -o o --keep", "--keep needs a value: expected a number above 0 and at most 1"),
        (
            "compress m -o o --keep --rank 3",
            "--keep needs a value before --rank: expected a number above 0 and at most 1; "
                + "a value that starts with a dash is written --keep=--rank"
        ),
        ("compress m -o o --quiet=yes", "--quiet takes no value, found 'yes'"),
        ("compress m -o o --keep 1.5", "--keep '1.5': expected a number above 0 and at most 1"),
        ("compress m -o o --keep 0", "--keep '0': expected a number above 0 and at most 1"),
        ("compress m -o o --keep nan", "--keep 'nan': expected a number above 0 and at most 1"),
        ("compress m -o o --keep 0x1p-1", "--keep '0x1p-1': expected a number above 0 and at most 1"),
        ("compress m -o o --keep=", "--keep '': expected a number above 0 and at most 1"),
        ("compress m -o o --rank 0", "--rank '0': expected a whole number of at least 1"),
        ("compress m -o o --rank 2.5", "--rank '2.5': expected a whole number of at least 1"),
        ("compress m -o o --target-size 4G", "--target-size '4G': expected a size above 0 such as 4.5GB or 800MiB"),
        ("compress m -o o --target-params -1", "--target-params '-1': expected a count above 0 such as 350M or 1.1B"),
        ("compress m -o o --rank 1 --method sdv", "--method 'sdv': expected svd, tucker or tt; did you mean 'svd'?"),
        ("compress m -o o --rank 1 --method x", "--method 'x': expected svd, tucker or tt"),
        (
            "compress m -o o --rank 1 --sizes 1,,2",
            "--sizes '1,,2': expected values separated by commas, each a whole number of at least 1"
        ),
        (
            "compress m -o o --rank 1 --include (",
            #"--include '(': expected a regular expression such as 'mlp\.(up|down)_proj'; "#
                + "expected ')'; a sign that means itself has a backslash before it"
        ),
        (
            "compress m -o o --rank 1 --include=",
            #"--include '': expected a regular expression such as 'mlp\.(up|down)_proj'; it is empty"#
        ),
        ("compress m -o o --keep 1 --keep 1", "--keep is given twice"),
        ("compress m -o o --rank 1 --keep 1", "one target only: --keep and --rank are given"),
        ("compress m -o o", "no target: give one of --keep, --rank, --target-size, --target-params"),
        ("compress m --rank 1", "-o OUT is missing: Folder to write"),
        ("compress -o o --rank 1", "CKPT is missing: folder of the model"),
        (
            "compress -o o --rank 1 --text a m",
            "CKPT is missing: folder of the model; --text takes every word up to the next option, "
                + "so give CKPT before it or after --"
        ),
        ("compress m n -o o --rank 1", "unexpected argument 'n'"),
    ])
    func eachMistakeHasItsSentence(line: String, message: String) {
        #expect(Sample.message(line) == message)
    }

    @Test func aMistakeEndsWithTheUsageCode() {
        #expect(UsageError.repeated(option: "--keep").failure == Failure(.usage, "--keep is given twice"))
    }

    @Test(arguments: [
        ("keep", "keep"), ("kep", "keep"), ("kepe", "keep"), ("keepx", "keep"), ("verb", "verbose"), ("v", nil),
        ("xyz", nil), ("", nil), ("quit", "quiet"),
    ])
    func suggestionsAreSlipsOrBeginnings(name: String, suggestion: String?) {
        #expect(NearestName.suggestion(for: name, among: ["keep", "verbose", "quiet"]) == suggestion)
    }
}
