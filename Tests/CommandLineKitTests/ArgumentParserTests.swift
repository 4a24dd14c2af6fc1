import CommandLineKit
import Testing

/// What is read from a line that is right.
struct ArgumentParserTests {
    @Test(arguments: [
        "compress model -o out --keep 0.6", "compress model --output out --keep=0.6", "compress -oout --keep .6 model",
        "compress -o=out --keep 6e-1 -- model", "--quiet compress model --output=out --keep 0.60",
        "--threads 3 compress model -o out --keep 0.6 --quiet",
    ])
    func everySpellingGivesTheSameValues(line: String) throws {
        let values = try Sample.run(line)
        #expect(values[Sample.checkpoint] == "model")
        #expect(values[Sample.output] == "out")
        #expect(values[Sample.keep] == 0.6)
        #expect(values[Sample.rank] == nil)
    }

    @Test func defaultsHoldUntilAnOptionIsGiven() throws {
        let silent = try Sample.run("compress m -o o --rank 4")
        #expect(silent[Sample.method] == .svd)
        #expect(silent[Sample.seed] == 0)
        #expect(!silent.isGiven(Sample.method))
        let given = try Sample.run("compress m -o o --rank 4 --method tt --seed 18446744073709551615")
        #expect(given[Sample.method] == .tt)
        #expect(given[Sample.seed] == .max)
        #expect(given.isGiven(Sample.method))
    }

    @Test(arguments: [("--shift -3", -3), ("--shift -.5", -0.5), ("--shift=-1e3", -1000)])
    func negativeNumbersAreValues(words: String, value: Double) throws {
        #expect(try Sample.run("compress m -o o --rank 4 \(words)")[Sample.shift] == value)
    }

    @Test func repeatedOptionsKeepTheirOrder() throws {
        let values = try Sample.run("compress m -o o --rank 4 --include b --include a --include=-x")
        #expect(values[Sample.include] == ["b", "a", "-x"])
    }

    @Test func variadicOptionsTakeWordsUpToTheNextOption() throws {
        let values = try Sample.run("compress --text a b --rank 4 --text c -o o -- m")
        #expect(values[Sample.text] == ["a", "b", "c"])
        #expect(values[Sample.checkpoint] == "m")
    }

    @Test(arguments: ["-q -l", "-ql", "-lqo o"])
    func lettersMayStandTogether(words: String) throws {
        let values = try Sample.run("compress m --rank 4 \(words)" + (words.contains("o") ? "" : " -o o"))
        #expect(values[Sample.quiet] && values[Sample.loud])
    }

    @Test func everythingAfterTwoDashesIsAnArgument() throws {
        #expect(try Sample.run("compress -o o --rank 4 -- --keep")[Sample.checkpoint] == "--keep")
    }

    @Test func aDashAndNegativeNumbersAreArguments() throws {
        #expect(try Sample.run("compress -o o --rank 4 -")[Sample.checkpoint] == "-")
        #expect(try Sample.run("compress -o o --rank 4 -5")[Sample.checkpoint] == "-5")
    }

    @Test func twoWordCommandsAndArgumentLists() throws {
        #expect(try Sample.run("stats merge a b c -o o")[Sample.parts] == ["a", "b", "c"])
        #expect(try Sample.run("show")[Sample.shell] == nil)
        #expect(try Sample.run("show zsh")[Sample.shell] == "zsh")
    }

    @Test func sizesCountsAndListsAreReadExactly() throws {
        #expect(try Sample.run("compress m -o o --target-size 4.5GB")[Sample.size] == 4_500_000_000)
        #expect(try Sample.run("compress m -o o --target-params 1.1B")[Sample.parameters] == 1_100_000_000)
        #expect(try Sample.run("compress m -o o --rank 1 --sizes 1,2,3")[Sample.sizes] == [1, 2, 3])
    }

    @Test func optionWordsAreSortedByName() throws {
        let values = try Sample.run("compress m --rank 4 --quiet -o o --include b --include a")
        #expect(values.optionWords.map(\.option) == ["include", "output", "quiet", "rank"])
        #expect(values.optionWords.map(\.words) == [["b", "a"], ["o"], [], ["4"]])
    }

    @Test(arguments: [
        ("--help", ""), ("compress --help", "compress"), ("compress -h --bogus", "compress"),
        ("compress --keep --help", "compress"), ("stats --help", "stats"), ("-h stats", "stats"),
        ("stats --seed 3 -h", "stats"), ("stats merge --help", "stats merge"), ("stats --help merge", "stats merge"),
    ])
    func helpWinsOverMistakes(line: String, topic: String) throws {
        guard case .help(let found, _) = try Sample.program.parse(Sample.words(line)) else {
            Issue.record("not help")
            return
        }
        #expect(found.name == topic)
    }

    @Test(arguments: ["stats merge a -o s", "--seed 3 stats merge a -o s", "stats --seed=3 -q merge a -o s"])
    func globalOptionsMayStandBetweenTheWordsOfACommand(line: String) throws {
        let values = try Sample.run(line)
        #expect(values[Sample.parts] == ["a"] && values[Sample.output] == "s")
        #expect(values[Sample.seed] == (line.contains("seed") ? 3 : 0))
    }

    @Test(arguments: ["--version", "compress --version", "--quiet --version"])
    func versionIsAnsweredEverywhere(line: String) throws {
        guard case .version = try Sample.program.parse(Sample.words(line)) else {
            Issue.record("not a version")
            return
        }
    }
}
