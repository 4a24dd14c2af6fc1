import Foundation
import Testing

/// What a shell sees of the commands that need no checkpoint.
struct BasicCommandTests {
    @Test(arguments: ["--version", "help --version", "completions --version --quiet", "--threads 2 --version"])
    func versionIsOneLine(line: String) throws {
        #expect(try ProgramRun.of(line) == ProgramRun(code: 0, output: "lowrank 0.1.0\n", errors: ""))
    }

    @Test func versionAsJSON() throws {
        let run = try ProgramRun.of("--version --json")
        #expect(run == ProgramRun(code: 0, output: #"{"name":"lowrank","version":"0.1.0"}"# + "\n", errors: ""))
    }

    @Test(arguments: ["help completions", "completions --help", "completions -h", "--help completions"])
    func commandHelpIsTheSameEverywhere(line: String) throws {
        let help = """
            Usage: lowrank completions SHELL [options]

            Print a script that completes commands and options in a shell.

            Arguments:
              SHELL                     bash, zsh or fish

            Global options:
                  --threads N           Threads to use, by default all that there are
                  --seed N              Seed of every random number (default: 0)
                  --json                Print the result as one JSON document
              -q, --quiet               No notices and no progress
              -v, --verbose             Tell more about the work
                  --force               Replace an output that exists
                  --no-color            No colours; so does NO_COLOR=1
              -h, --help                Show this help and end
                  --version             Show the version and end

            Examples:
              In this bash, now:
                source <(lowrank completions bash)
              In every zsh whose fpath has ~/.zfunc:
                lowrank completions zsh > ~/.zfunc/_lowrank
              In every fish:
                lowrank completions fish > ~/.config/fish/completions/lowrank.fish

            """
        #expect(try ProgramRun.of(line) == ProgramRun(code: 0, output: help, errors: ""))
    }

    /// The commands of the contract; those of two words have a group before them.
    private static let commands = [
        "inspect", "plan", "calibrate", "stats show", "stats merge", "compress", "recover", "sweep", "verify",
        "reconstruct", "convert", "extract-lora", "eval", "generate", "diagnose", "merge", "report", "bench",
        "completions", "help",
    ]

    private static let groups = Set(
        commands.map { $0.components(separatedBy: " ") }.filter { $0.count > 1 }.map { $0[0] }
    ).sorted()

    @Test func everyCommandIsListed() throws {
        let overview = try ProgramRun.of("help")
        #expect(overview.code == 0)
        #expect(try ProgramRun.of("--help") == overview)
        #expect(commandNames(in: overview.output).sorted() == Self.commands.sorted())
    }

    @Test(arguments: commands + groups)
    func everyNameHasHelpWithin80ColumnsAndAPage(name: String) throws {
        let help = try ProgramRun.of("help \(name)")
        #expect(help.code == 0 && help.errors.isEmpty)
        #expect(help.output.hasPrefix("Usage: lowrank \(name) "))
        #expect(help.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
        for line in ["\(name) --help", "\(name) -h", "--help \(name)", "--no-color \(name) --help --frobnicate"] {
            #expect(try ProgramRun.of(line) == help, "\(line)")
        }
        #expect(try ProgramRun.of("\(name) --version").output == "lowrank 0.1.0\n")
        let page = try ProgramRun.of("help --man \(name)")
        #expect(page.code == 0)
        let title = "lowrank \(name)".uppercased().split { " -".contains($0) }.joined(separator: "\\-")
        #expect(page.output.hasPrefix(".TH \"\(title)\" 1 "))
        for member in Self.commands where member.hasPrefix(name + " ") { #expect(help.output.contains("  \(member) ")) }
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionsKnowEveryCommand(shell: String) throws {
        let script = try ProgramRun.of("completions \(shell)").output
        let words = Set(script.split { !$0.isLetter && $0 != "-" })
        for word in Self.commands.flatMap({ $0.split(separator: " ") }) { #expect(words.contains(word), "\(word)") }
    }

    /// A slip in any command is answered with that command.
    @Test(arguments: commands + groups)
    func aSlipIsAnsweredWithTheName(name: String) throws {
        let slip = String(name.dropLast())
        for line in [slip, "help \(slip)", "\(slip) --help"] {
            let run = try ProgramRun.of(line)
            #expect(run.code == 2 && run.output.isEmpty, "\(line)")
            #expect(run.errors == "lowrank: error: unknown command '\(slip)'; did you mean '\(name)'?\n")
        }
    }

    @Test(arguments: [
        ("completions basch", "SHELL 'basch': expected bash, zsh or fish; did you mean 'bash'?"),
        ("completions bash --quite", "unknown option --quite; did you mean --quiet?"),
        ("completions", "SHELL is missing: bash, zsh or fish"),
        ("completions bash zsh", "unexpected argument 'zsh'"),
        ("completions bash --threads 0", "--threads '0': expected a whole number from 1 to 1024"),
        ("completions bash --seed -1", "--seed '-1': expected a whole number from 0 to 18446744073709551615"),
        ("completions bash --quiet --verbose", "one amount of talk only: --quiet and --verbose are given"),
        ("complétions", "unknown command 'complétions'; did you mean 'completions'?"),
        ("help halp", "unknown command 'halp'; did you mean 'help'?"),
        ("help compress model", "unexpected argument 'model'"),
        ("stats", "'stats' alone is no command; the commands are stats show, stats merge"),
        ("stats shwo a", "unknown command 'stats shwo'; did you mean 'stats show'?"),
        ("stats frobnicate", "unknown command 'stats frobnicate'; the commands are stats show, stats merge"),
        ("stat show a", "unknown command 'stat show'; did you mean 'stats show'?"),
    ])
    func mistakesEndWithTwoAndOneMessage(line: String, message: String) throws {
        let run = try ProgramRun.of(line)
        #expect(run == ProgramRun(code: 2, output: "", errors: "lowrank: error: \(message)\n"))
    }

    @Test func anUnknownCommandListsWhatExists() throws {
        let commands = commandNames(in: try ProgramRun.of("help").output).joined(separator: ", ")
        let unknown = "lowrank: error: unknown command 'frobnicate'; the commands are \(commands)\n"
        #expect(try ProgramRun.of("frobnicate") == ProgramRun(code: 2, output: "", errors: unknown))
        let none = "lowrank: error: no command; the commands are \(commands)\n"
        #expect(try ProgramRun.of("") == ProgramRun(code: 2, output: "", errors: none))
    }

    @Test(arguments: ["sse9", "AVX2"])
    func anUnknownInstructionSetIsRefused(name: String) throws {
        let run = try ProgramRun.of("completions bash", environment: ["LOWRANK_ISA": name])
        #expect(run.code == 2)
        #expect(run.output.isEmpty)
        #expect(run.errors.hasPrefix("lowrank: error: LOWRANK_ISA=\(name) names no instruction set"))
        #expect(try ProgramRun.of("completions bash", environment: ["LOWRANK_ISA": "baseline"]).code == 0)
    }

    @Test func withJSONAnErrorIsADocumentToo() throws {
        let message = "unknown option --bogus"
        let document = #"{"error":{"code":2,"kind":"usage","message":"\#(message)","file":null,"tensor":null}}"#
        #expect(
            try ProgramRun.of("completions bash --bogus --json")
                == ProgramRun(code: 2, output: document + "\n", errors: "lowrank: error: \(message)\n"))
    }

    @Test(arguments: [
        ("com", "completions"), ("completions ", "bash zsh fish"), ("help com", "completions"),
        ("completions bash --thr", "--threads"), ("help --no", "--no-color"),
    ])
    func bashCompletesFromTheScript(typed: String, answer: String) throws {
        let words = ["lowrank"] + typed.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let list = words.map { "'\($0)'" }.joined(separator: " ")
        let script = """
            \(try ProgramRun.of("completions bash").output)
            COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _lowrank; echo "${COMPREPLY[*]}"
            """
        let offered = try bash(script).split { $0.isWhitespace }.map(String.init)
        #expect(Set(offered).isSuperset(of: answer.split(separator: " ").map(String.init)), "offered: \(offered)")
    }

    /// The names on the lines under "Commands:"; a name of two words keeps both.
    private func commandNames(in help: String) -> [String] {
        let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.drop { $0 != "Commands:" }.dropFirst().prefix { !$0.isEmpty }
            .filter { !$0.hasPrefix("   ") }
            .map { $0.dropFirst(2).components(separatedBy: "  ")[0] }
    }

    private func bash(_ script: String) throws -> String {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", script]
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }
}
