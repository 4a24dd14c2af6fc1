import CommandLineKit

/// A small program that uses every kind of declaration.
enum Sample {
    enum Method: String, CaseIterable, Sendable { case svd, tucker, tt }

    static let threads = Option("threads", .integer("N", from: 1), help: "Threads to use")
    static let seed = Setting("seed", .seed(), default: 0, help: "Seed of every random number")
    static let quiet = Flag("quiet", letter: "q", help: "Errors only")

    static let loud = Flag("loud", letter: "l", help: "Everything")

    static let checkpoint = Argument(.folder("CKPT"), help: "folder of the model")
    static let output = RequiredOption("output", letter: "o", .folder("OUT"), help: "Folder to write")
    static let keep = Option(
        "keep", .number("F", from: .exclusive(0), to: .inclusive(1)), help: "Share of the parameters to keep")
    static let rank = Option("rank", .integer("R", from: 1), help: "Rank of every matrix")
    static let size = Option("target-size", .bytes(), help: "Size of the whole output")
    static let parameters = Option("target-params", .count(), help: "Parameters of the whole output")
    static let method = Setting("method", .choice("NAME"), default: Method.svd, help: "How to compress")
    static let shift = Option("shift", .number("X"), help: "Any number")
    static let include = OptionList("include", .pattern(), style: .repeated, help: "Modules to take")
    static let text = OptionList("text", .file(), style: .variadic, help: "Texts to read")
    static let sizes = Option("sizes", .commaSeparated(.integer("N", from: 1)), help: "Sizes to try")
    static let secret = Flag("secret", help: "Not shown", hidden: true)

    static let compress = CommandSpecification(
        "compress", summary: "Compress a checkpoint",
        discussion: "Reads the model tensor by tensor and writes a folder of the same kind.",
        arguments: [checkpoint],
        sections: [
            OptionSection("Target", [keep, rank, size, parameters]),
            OptionSection("Work", [output, method, shift, include, text, sizes, secret]),
        ],
        exclusions: [Exclusion("target", required: true, [keep, rank, size, parameters])],
        examples: [Example("sample compress model -o small --keep 0.6", "Keep six tenths")],
        redirections: ["ratio": "--keep F"])

    static let parts = ArgumentList(.folder("PART"), help: "parts to join")
    static let join = CommandSpecification(
        "stats merge", summary: "Join statistics", arguments: [parts], sections: [OptionSection("Output", [output])])
    static let shell = OptionalArgument(.word(["bash", "zsh"]), help: "a shell")
    static let show = CommandSpecification("show", summary: "Show it", arguments: [shell])

    static let program = ProgramSpecification(
        "sample", version: "1.2.3", summary: "A sample", commands: [compress, join, show],
        globals: [threads, seed, quiet, loud])

    /// The values of a line that must parse.
    static func run(_ line: String) throws -> ParsedArguments {
        guard case .run(_, let values) = try program.parse(words(line)) else { throw NotARun() }
        return values
    }

    /// What is said about a line that must not parse.
    static func message(_ line: String) -> String? {
        do throws(UsageError) {
            _ = try program.parse(words(line))
            return nil
        } catch {
            return error.message
        }
    }

    static func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

    struct NotARun: Error {}
}
