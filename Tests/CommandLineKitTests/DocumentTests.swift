import CommandLineKit
import Testing

/// Help and completions made from the declarations.
struct DocumentTests {
    @Test func commandHelpIsComplete() {
        #expect(
            HelpText.text(for: Sample.compress, of: Sample.program) == """
                Usage: sample compress CKPT -o OUT [options]

                Compress a checkpoint.

                Reads the model tensor by tensor and writes a folder of the same kind.

                Arguments:
                  CKPT                      folder of the model

                Target:
                      --keep F              Share of the parameters to keep
                      --rank R              Rank of every matrix
                      --target-size SIZE    Size of the whole output
                      --target-params N     Parameters of the whole output

                Work:
                  -o, --output OUT          Folder to write (required)
                      --method NAME         How to compress (one of svd, tucker, tt; default:
                                            svd)
                      --shift X             Any number
                      --include REGEX       Modules to take (repeatable)
                      --text FILE…          Texts to read
                      --sizes N,…           Sizes to try

                Global options:
                      --threads N           Threads to use
                      --seed N              Seed of every random number (default: 0)
                  -q, --quiet               Errors only
                  -l, --loud                Everything
                  -h, --help                Show this help and end
                      --version             Show the version and end

                Examples:
                  Keep six tenths:
                    sample compress model -o small --keep 0.6

                """)
    }

    @Test func programHelpListsCommands() {
        #expect(
            HelpText.text(for: Sample.program) == """
                Usage: sample <command> [arguments]

                A sample.

                Commands:
                  compress                  Compress a checkpoint
                  stats merge               Join statistics
                  show                      Show it

                Global options:
                      --threads N           Threads to use
                      --seed N              Seed of every random number (default: 0)
                  -q, --quiet               Errors only
                  -l, --loud                Everything
                  -h, --help                Show this help and end
                      --version             Show the version and end

                Exit codes:
                  0                         done
                  1                         done, but a condition that was set is not met
                  2                         wrong option or value, or an output that is refused
                  3                         malformed or unsupported input
                  4                         the arithmetic failed
                  5                         the machine failed: no space, no permission
                  130                       interrupted

                'sample help <command>' explains a command.

                """)
    }

    @Test func theManualHasTheWordsOfTheHelp() {
        let page = ManualPage.text(for: .command(Sample.compress), of: Sample.program)
        #expect(page.hasPrefix(".TH \"SAMPLE\\-COMPRESS\" 1 \"\" \"sample 1.2.3\"\n.SH NAME\n"))
        #expect(page.contains("\n.SH TARGET\n.TP\n.B \\-\\-keep F\nShare of the parameters to keep\n"))
        #expect(page.contains("\n.nf\nsample compress model \\-o small \\-\\-keep 0.6\n.fi\n"))
        #expect(!page.contains("secret"))
        // A line that starts with a dot is a request, and these are all that the page uses.
        let requests = page.split(separator: "\n").filter { $0.hasPrefix(".") }.map { $0.prefix { $0 != " " } }
        let known: Set<Substring> = [".TH", ".SH", ".B", ".I", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi"]
        #expect(known.isSuperset(of: requests))
        #expect(ManualPage.text(for: .program, of: Sample.program).contains("\n.B stats merge\nJoin statistics\n"))
    }

    @Test func aGroupListsItsCommands() throws {
        let topic = try Sample.program.topic(["stats"])
        #expect(
            HelpText.text(for: topic, of: Sample.program) == """
                Usage: sample stats <command> [arguments]

                Commands:
                  stats merge               Join statistics

                Global options:
                      --threads N           Threads to use
                      --seed N              Seed of every random number (default: 0)
                  -q, --quiet               Errors only
                  -l, --loud                Everything
                  -h, --help                Show this help and end
                      --version             Show the version and end

                'sample help stats <command>' explains a command.

                """)
        let page = ManualPage.text(for: topic, of: Sample.program)
        #expect(page.hasPrefix(".TH \"SAMPLE\\-STATS\" 1"))
        #expect(page.contains("\n.B stats merge\nJoin statistics\n") && !page.contains(".B compress"))
    }

    @Test(arguments: [20, 40, 80])
    func wrappedLinesFit(width: Int) {
        let text = "The quick brown fox jumps over the lazy dog and does not stop.\n\nThen it sleeps."
        let lines = Wrapping.lines(text, width: width)
        #expect(lines.allSatisfy { $0.count <= width })
        #expect(lines.joined(separator: " ").split(separator: " ") == text.split { $0 == " " || $0 == "\n" })
    }

    @Test(arguments: Shell.allCases)
    func completionsNameEveryVisibleOption(shell: Shell) {
        let script = Sample.program.completions(for: shell)
        for name in ["compress", "stats", "merge", "keep", "target-size", "threads", "quiet", "version", "tucker"] {
            #expect(script.contains(name), "\(name)")
        }
        #expect(!script.contains("secret"))
    }
}
