import Foundation
import Safetensors
import Testing

/// Every way to get the main job wrong: one message, the right exit code, nothing left behind.
struct RefusalTests {
    private let folder: ModelFolder

    init() throws { folder = try ModelFolder() }

    private func expectRefusal(
        _ words: [String], code: Int32, says parts: [String], leaves names: [String]? = nil
    ) throws {
        let before = try folder.names
        let run = try ProgramRun.of(words)
        #expect(run.code == code, "\(run.errors)")
        #expect(run.output.isEmpty)
        #expect(run.errors.hasPrefix("lowrank: error: ") || run.errors.contains("\nlowrank: error: "))
        for part in parts { #expect(run.errors.contains(part), "\(run.errors) says \(part)") }
        #expect(try folder.names == names ?? before)
    }

    @Test(arguments: [
        (["--keep", "1.5"], "above 0 and at most 1"),
        (["--keep", "0.5", "--rank", "4"], "--rank"),
        ([], "--keep"),
        (["--kep", "0.5"], "--keep"),
        (["--keep", "0.5", "--include", "no_such_layer"], "matches no linear layer"),
        (["--keep", "0.5", "--include", "("], "--include '(': expected a regular expression"),
        (["--keep", "0.5", "--exclude", "[z"], "--exclude '[z': expected a regular expression"),
        (["--keep", "0.5", "--layers", "3-9"], "the model has 5"),
        (["--keep", "0.5", "--layers", "x"], "4-27"),
        (["--keep", "0.5", "--exclude", "."], "no linear layer is selected"),
        (["--ratio", "0.5"], "--keep F or --remove F"),
    ] as [([String], String)])
    func wrongRequestsAreUsageErrors(words: [String], says: String) throws {
        try expectRefusal(
            ["compress", ModelFolder.fixture, "-o", folder.at("out")] + words, code: 2, says: [says])
    }

    @Test func outputsThatTouchTheInputOrExistAreRefused() throws {
        let model = try folder.copyOfFixture()
        try FileManager.default.createSymbolicLink(atPath: folder.at("link"), withDestinationPath: model)
        for output in [model, model + "/inside", folder.at("link"), folder.at("link/inside")] {
            try expectRefusal(["compress", model, "-o", output, "--keep", "0.5", "--force"], code: 2, says: [output])
        }
        try FileManager.default.createDirectory(atPath: folder.at("full"), withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: folder.at("full/file")))
        try expectRefusal(["compress", model, "-o", folder.at("full"), "--keep", "0.5"], code: 2, says: ["--force"])
        #expect(FileManager.default.contents(atPath: folder.at("full/file")) == Data("mine".utf8))
        let forced = try ProgramRun.of(["compress", model, "-o", folder.at("full"), "--keep", "0.5", "--force", "-q"])
        #expect(forced.code == 0 && !FileManager.default.fileExists(atPath: folder.at("full/file")))
    }

    @Test(arguments: [".", "..", "../work"]) func theCurrentFolderIsNotReplaced(output: String) throws {
        let work = folder.at("work")
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: work + "/file"))
        let program = ProgramRun.buildFolder.appendingPathComponent("lowrank").path
        let line = "cd '\(work)' && '\(program)' reconstruct '\(ModelFolder.fixture)' -o \(output) --force"
        let run = try ProgramRun.of(["-c", line], program: URL(fileURLWithPath: "/bin/sh"))
        #expect(run.code == 2 && run.errors.contains("the current folder"), "\(run.errors)")
        #expect(FileManager.default.contents(atPath: work + "/file") == Data("mine".utf8))
    }

    @Test func filesThatAreNoCheckpointAreNamed() throws {
        let text = folder.at("notes.txt")
        try Data("not a checkpoint, only some text that is long enough".utf8).write(to: URL(fileURLWithPath: text))
        try expectRefusal(["compress", text, "-o", folder.at("out"), "--keep", "0.5"], code: 3, says: ["notes.txt"])
        try expectRefusal(
            ["compress", folder.at("nothing"), "-o", folder.at("out"), "--keep", "0.5"], code: 3, says: ["nothing"])
    }

    @Test func aTruncatedFileIsNamed() throws {
        let model = try folder.copyOfFixture()
        let weights = URL(fileURLWithPath: model + "/model.safetensors")
        try Data(contentsOf: weights).dropLast(1000).write(to: weights)
        try expectRefusal(
            ["compress", model, "-o", folder.at("out"), "--keep", "0.5"], code: 3, says: ["model.safetensors"])
    }

    @Test func aWeightThatIsNotANumberIsFoundAndNamed() throws {
        let model = try folder.copyOfFixture()
        let path = model + "/model.safetensors", name = "model.layers.2.mlp.up_proj.weight"
        let tensor = try #require(try SafetensorsFile(path: path).tensor(named: name))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let offset = tensor.byteRange.lowerBound + (3 * tensor.shape[1] + 5) * 2
        (bytes[offset], bytes[offset + 1]) = (0xC0, 0x7F)
        try bytes.write(to: URL(fileURLWithPath: path))
        try expectRefusal(
            ["compress", model, "-o", folder.at("out"), "--keep", "0.5", "-q"], code: 3,
            says: [name, "model.safetensors", "output 3, input 5"])
    }

    /// A weight that is not selected is copied with a warning that names it.
    @Test func aNumberThatIsNoneInACopiedTensorIsToldOf() throws {
        let model = try folder.copyOfFixture()
        let path = model + "/model.safetensors"
        let file = try SafetensorsFile(path: path)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for (name, element) in [("model.norm.weight", 7), ("model.layers.3.self_attn.q_proj.weight", 130)] {
            let start = try #require(file.tensor(named: name)).byteRange.lowerBound + element * 2
            (bytes[start], bytes[start + 1]) = (0x80, 0x7F)
        }
        try bytes.write(to: URL(fileURLWithPath: path))
        let run = try ProgramRun.of(
            ["compress", model, "-o", folder.at("out"), "--keep", "0.5", "-q", "--exclude", "q_proj"])
        #expect(run.code == 0)
        #expect(run.errors.contains(#"warning: tensor "model.norm.weight" has inf at element 7;"#), "\(run.errors)")
        #expect(run.errors.contains(#"tensor "model.layers.3.self_attn.q_proj.weight" has inf at element 130;"#))
        #expect(run.errors.split(separator: "\n").count == 2)
    }

    @Test func anOutputBelowAFileIsRefused() throws {
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder.at("file")))
        for command in [["compress", "--keep", "0.5"], ["reconstruct"]] {
            try expectRefusal(
                [command[0], ModelFolder.fixture, "-o", folder.at("file/out")] + command.dropFirst(), code: 2,
                says: ["file/out", "is not a folder"])
        }
    }

    @Test func leftoversOfAnotherCommandAreNotOfferedToResume() throws {
        let staging = folder.at(".out.lowrank-partial")
        try FileManager.default.createDirectory(atPath: staging + "/units", withIntermediateDirectories: true)
        for file in ["journal.json", "units/a.unit.json"] {
            try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(staging)/\(file)"))
        }
        try expectRefusal(
            ["reconstruct", ModelFolder.fixture, "-o", folder.at("out")], code: 2,
            says: ["of another command", "--force discards it"])
        let run = try ProgramRun.of(["reconstruct", ModelFolder.fixture, "-o", folder.at("out")])
        #expect(!run.errors.contains("--resume"))
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
    func aResultThatCannotBeWrittenIsAnError() throws {
        let program = ProgramRun.buildFolder.appendingPathComponent("lowrank").path
        for words in ["inspect '\(ModelFolder.fixture)' --json", "help", "--version"] {
            let run = try ProgramRun.of(
                ["-c", "'\(program)' \(words) >/dev/full"], program: URL(fileURLWithPath: "/bin/sh"))
            #expect(run.code == 5, "\(words)")
            #expect(run.errors.contains("standard output cannot be written: No space left on device"))
        }
        let gone = try ProgramRun.of(
            ["-c", "'\(program)' help | true"], program: URL(fileURLWithPath: "/bin/sh"))
        #expect(gone.code == 0 && gone.errors.isEmpty)
    }

    /// A file would get the number of a closed stream, and what is meant for its reader.
    @Test(arguments: ["<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
    func closedStreamsLeaveTheOutputAsItIs(closed: String) throws {
        func shell(_ line: String) throws -> ProgramRun {
            let program = ProgramRun.buildFolder.appendingPathComponent("lowrank").path
            return try ProgramRun.of(["-c", "'\(program)' \(line)"], program: URL(fileURLWithPath: "/bin/sh"))
        }
        for (name, more) in [("plain", "-q"), ("closed", closed)] {
            let words = "compress '\(ModelFolder.fixture)' -o '\(folder.at(name))' --keep 0.6 --max-shard-size 200KB"
            let run = try shell("\(words) \(more)")
            // A result that nobody can read is an error.
            #expect(run.code == (" \(more)".contains(" >&-") ? 5 : 0), "\(run.errors)")
        }
        #expect(try folder.content(of: "closed") == folder.content(of: "plain"))
    }

    @Test(arguments: ["<&-", "< /"]) func aPromptThatCannotBeReadIsAWrongRequest(input: String) throws {
        let program = ProgramRun.buildFolder.appendingPathComponent("lowrank").path
        let run = try ProgramRun.of(
            ["-c", "'\(program)' generate '\(ModelFolder.fixture)' \(input)"], program: URL(fileURLWithPath: "/bin/sh"))
        #expect(run.code == 2 && run.errors.contains("cannot be read; give --prompt"), "\(run.errors)")
    }

    @Test func missingShardsAndTensorsAreNamed() throws {
        let run = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("sharded"), "--keep", "0.6", "--max-shard-size", "400KB"])
        #expect(run.code == 0)
        #expect(try ProgramRun.of(["reconstruct", folder.at("sharded"), "-o", folder.at("model"), "--max-shard-size",
            "400KB"]).code == 0)
        let index = folder.at("model/model.safetensors.index.json")
        let original = try String(contentsOfFile: index, encoding: .utf8)
        let shard = try #require(try ShardIndex(path: index).files.last)
        let moved = folder.at("model/\(shard)")
        try FileManager.default.moveItem(atPath: moved, toPath: folder.at("aside"))
        try expectRefusal(
            ["compress", folder.at("model"), "-o", folder.at("out"), "--keep", "0.5"], code: 3, says: [shard])
        try FileManager.default.moveItem(atPath: folder.at("aside"), toPath: moved)
        let tensor = try #require(try SafetensorsFile(path: moved).tensors.first).name
        var lines = original.split(separator: "\n").filter { !$0.contains("\"\(tensor)\"") }
        // The last entry of the map has no comma.
        for position in lines.indices.dropLast()
        where lines[position + 1].trimmingCharacters(in: .whitespaces).hasPrefix("}") {
            if lines[position].hasSuffix(",") { lines[position].removeLast() }
        }
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: index))
        try expectRefusal(
            ["compress", folder.at("model"), "-o", folder.at("out"), "--keep", "0.5"], code: 3, says: [tensor])
    }

    @Test func otherFormsThanFactorsAreNotCompressedAgain() throws {
        let mixt = [
            "compress", ModelFolder.fixture, "-o", folder.at("m"), "--method", "mixt", "--mixt-branches", "2", "-q",
        ]
        #expect(try ProgramRun.of(mixt).code == 0)
        try expectRefusal(
            ["compress", folder.at("m"), "-o", folder.at("b"), "--keep", "0.3"], code: 3,
            says: ["compressed already, as MixTLinear; compress the original"])
        #expect(
            try ProgramRun.of(["compress", ModelFolder.fixture, "-o", folder.at("a"), "--keep", "0.6", "-q"]).code == 0)
        try expectRefusal(
            ["compress", folder.at("a"), "-o", folder.at("b"), "--method", "mixt", "--mixt-branches", "2"], code: 3,
            says: ["compressed already, as ABLinear", "compress the original"])
        try expectRefusal(
            ["verify", ModelFolder.fixture, "--against", folder.at("a")], code: 3, says: ["not a compressed checkpoint"]
        )
    }

    @Test func textsThatCannotBeReadAreNamed() throws {
        try expectRefusal(
            ["eval", ModelFolder.fixture, "--text", folder.at("nothing.txt")], code: 3, says: ["nothing.txt"])
        try Data([0xFF, 0xFE, 0x41]).write(to: URL(fileURLWithPath: folder.at("latin.txt")))
        try expectRefusal(
            ["eval", ModelFolder.fixture, "--text", folder.at("latin.txt")], code: 3, says: ["latin.txt", "UTF-8"])
    }

    /// A weight in a packed type: refused where it is selected, carried along byte for byte where it is not.
    @Test func weightsOfPackedTypesAreRefusedOrCarriedAlong() throws {
        let model = try folder.copyOfFixture(), name = "model.layers.2.mlp.up_proj"
        let path = model + "/model.safetensors"
        let source = try SafetensorsFile(path: path)
        let packed = Data(repeating: 0x38, count: 352 * 128)
        let writer = try SafetensorsWriter(
            path: folder.at("packed"),
            tensors: source.tensors.map {
                TensorDeclaration(
                    name: $0.name, dtype: $0.name == name + ".weight" ? .f8e4m3 : $0.dtype, shape: $0.shape)
            })
        for tensor in source.tensors {
            if tensor.name == name + ".weight" {
                try packed.withUnsafeBytes { try writer.append($0, to: tensor.name) }
            } else {
                try source.bytes(of: tensor.name).withUnsafeBytes { try writer.append($0, to: tensor.name) }
            }
        }
        try writer.finish()
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: folder.at("packed"), toPath: path)
        let words = ["compress", model, "-o", folder.at("out"), "--keep", "0.5", "-q"]
        try expectRefusal(words, code: 3, says: ["F8_E4M3", name, "--exclude"])
        for (output, more) in [("a", ["--exclude", name]), ("b", ["--layers", "0-1"])] {
            let run = try ProgramRun.of(["compress", model, "-o", folder.at(output), "--keep", "0.5", "-q"] + more)
            #expect(run.code == 0, "\(run.errors)")
            let written = try SafetensorsFile(path: folder.at(output) + "/model.safetensors")
            #expect(try written.bytes(of: name + ".weight").array(of: UInt8.self) == Array(packed))
        }
    }

    @Test func errorsAreJSONWhereJSONIsAskedFor() throws {
        let run = try ProgramRun.of(
            ["compress", folder.at("nothing"), "-o", folder.at("out"), "--keep", "0.5", "--json"])
        let error = try #require(try JSON.parse(run.output)["error"])
        #expect(run.code == 3 && error["code"]?.int == 3 && error["kind"]?.string == "bad-input")
        #expect(error["file"]?.string == folder.at("nothing"))
    }

    @Test func theKernelsOfAnotherMachineAreRefused() throws {
        let run = try ProgramRun.of(
            ["compress", ModelFolder.fixture, "-o", folder.at("out"), "--keep", "0.5"],
            environment: ["LOWRANK_ISA": "mmx"])
        #expect(run.code == 2 && run.errors.contains("LOWRANK_ISA"))
    }
}
