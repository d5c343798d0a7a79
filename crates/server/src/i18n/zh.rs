use protocol::ErrorCode;

use super::{PageTexts, Texts};

pub(super) static TEXTS: Texts = Texts {
    tag: "zh-Hans",
    joined: |names, count| {
        let list = names.join("、");
        if names.len() < count {
            format!("{list} 等 {count} 人加入了房间")
        } else {
            format!("{list} 加入了房间")
        }
    },
    left: |name| format!("{name} 离开了房间"),
    renamed: |was, name| format!("{was} 改名为 {name}"),
    topic: |topic| format!("话题：{topic}"),
    topic_changed: |name, topic| match topic {
        "" => format!("{name} 清除了话题"),
        _ => format!("{name} 把话题改为：{topic}"),
    },
    gap: |from, to, room| format!("错过了 {room} 的第 {from} 至 {to} 条"),
    welcome: |name, room| format!("{name}，欢迎！你在 {room}，输入 /help 查看命令"),
    you_are_in: |room| format!("你在 {room}"),
    who: |names, count| {
        let list = names.join("、");
        if names.len() < count as usize {
            format!("{count} 人在线：{list} 等")
        } else {
            format!("{count} 人在线：{list}")
        }
    },
    room: |name, online| format!("#{name}（{online} 人在线）"),
    no_rooms: "还没有房间",
    and_more: "……还有更多",
    help: &[
        "/join 房间 - 进入房间，之后在那里发言",
        "/leave - 离开当前房间，回到大厅（lobby）",
        "/name 名字 - 改名",
        "/topic 话题 - 更改房间话题",
        "/who - 查看谁在线",
        "/rooms - 查看有哪些房间",
        "/help - 显示这份说明",
        "//… - 发送以斜杠开头的内容",
    ],
    error: |what| format!("出错了：{what}"),
    refusal: ErrorCode::text_zh,
    unknown_command: |word| format!("没有 /{word} 这个命令，输入 /help 查看全部命令"),
    incomplete: |command| match command {
        "join" => "要进入哪个房间？用法：/join 房间".to_owned(),
        "name" => "要改成什么名字？用法：/name 名字".to_owned(),
        "topic" => "要改成什么话题？用法：/topic 话题".to_owned(),
        other => format!("/{other} 后面缺少内容"),
    },
    stopping: "服务器即将停止，请稍后再来",
    page: PageTexts {
        title: "茶馆已在运行，但网页尚未构建",
        works: "聊天客户端仍可通过 /ws 连接。",
        build: "要构建网页并启动服务器，请在项目目录中运行：",
    },
};
